// What Stryker leaves as it is: words for people. What a refusal, an advisory or the catalogue of differences says is no
// behaviour of a kernel; lines that the kernel prints are, and are mutated.

import { declareValuePlugin, PluginKind } from '@stryker-mutator/api/plugin';

/** Calls that are given words. */
const GIVEN = /^(?:refuse\w*|advise\w*|wrong|Error|WrongState|WrongShape|Wedged|Refused)$/;
/** Fields of catalogues that are words. */
const FIELDS = /^(?:title|about|effect|reachedBy|rule)$/;
/** Variables that are words. */
const VARIABLES = /^(?:text|why|about|words|more|named|range)$/;
/** What words are put together with. */
const MADE_WITH =
  /^(?:TemplateLiteral|ConditionalExpression|BinaryExpression|ArrowFunctionExpression|LogicalExpression)$/;

const words = {
  shouldIgnore(path) {
    const { node } = path;
    const isWords =
      node.type === 'TemplateLiteral' || (node.type === 'StringLiteral' && node.value.includes(' '));
    if (!isWords) return undefined;
    let { parentPath: holder } = path;
    while (holder && MADE_WITH.test(holder.node.type)) holder = holder.parentPath;
    if (!holder) return undefined;
    const { type, callee, key } = holder.node;
    if (/^(?:Call|New)Expression$/.test(type) && GIVEN.test(callee.property?.name ?? callee.name))
      return 'words';
    if (type === 'VariableDeclarator' && VARIABLES.test(holder.node.id.name)) return 'words';
    if (type !== 'ObjectProperty') return undefined;
    const beside = holder.parent.properties.map((each) => each.key?.name);
    return FIELDS.test(key.name) || (key.name === 'text' && beside.includes('title')) ? 'words' : undefined;
  },
};

export const strykerPlugins = [declareValuePlugin(PluginKind.Ignore, 'words', words)];
