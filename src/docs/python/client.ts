import type { Json } from '../openapi/json.ts';
import { hintOf } from './types.ts';

const HEAD = `# Generated from openapi.json by \`npm run openapi\`; do not edit.
"""Every operation of vfio-host's HTTP API as a method."""

from typing import Any, Dict, Iterable, Mapping, Optional, Sequence, Union
from urllib.parse import quote

try:
    from typing import Literal
except ImportError:  # Python 3.7
    from typing_extensions import Literal  # type: ignore

Address = Union[int, str]


class _Unset:
    def __repr__(self) -> str:
        return "UNSET"


UNSET: Any = _Unset()


def _given(**fields: Any) -> Dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not UNSET}


def _part(value: str) -> str:
    return quote(value, safe="")


class Operations:
    """The operations; a subclass makes the requests."""

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Optional[Mapping[str, Any]] = None,
        body: Any = None,
        lines: Optional[Iterable[Mapping[str, Any]]] = None,
        headers: Optional[Mapping[str, str]] = None,
    ) -> Any:
        raise NotImplementedError
`;

interface Parameter {
  name: string;
  in: string;
  description?: string;
  schema: Json;
}
interface Media {
  schema: Json & { properties?: Record<string, Json>; required?: string[] };
}
interface Operation {
  operationId: string;
  summary: string;
  description: string;
  parameters?: Parameter[];
  requestBody?: { content: Record<string, Media> };
}

/** Words that are no names in Python: its keywords. */
const RESERVED = new Set(
  `False None True and as assert async await break class continue def del elif else except finally for from global
  if import in is lambda nonlocal not or pass raise return try while with yield`.split(/\s+/),
);
const WIDTH = 100;

/** An argument of a method: its name there and in the API. */
interface Argument {
  readonly name: string;
  readonly field: string;
  readonly hint: string;
  readonly required: boolean;
}

/** The module with a method for each operation of a document. */
export function pythonClient(document: Json): string {
  const paths = document.paths as Record<string, Record<string, Operation>>;
  const methods = Object.entries(paths).flatMap(([path, item]) =>
    Object.entries(item).map(([verb, operation]) => methodOf(verb, path, operation)),
  );
  return [HEAD, ...methods].join('\n');
}

function methodOf(verb: string, path: string, operation: Operation): string {
  const { operationId, summary, description, parameters = [], requestBody } = operation;
  const inPath = parameters.filter((one) => one.in === 'path');
  const query = parameters
    .filter((one) => one.in === 'query')
    .map((one) => argumentOf(one.name, one.schema, false));
  const content = requestBody?.content ?? {};
  const json = content['application/json']?.schema;
  const takesLines = !json && Object.keys(content).length > 0;
  const fields = json && isObject(json) ? fieldsOf(json) : [];
  const whole = json && !isObject(json);
  const named = [...fields, ...query];
  const positional = [
    ...inPath.map(({ name }) => `${pythonName(name)}: str`),
    ...(whole ? ['body: Mapping[str, Any]'] : []),
    ...(takesLines ? ['lines: Iterable[Mapping[str, Any]]'] : []),
  ];
  const waits = '202' in (operation as unknown as { responses: object }).responses;
  const options = [
    ...named.map(({ name, hint, required }) => `${name}: ${hint}${required ? '' : ' = UNSET'}`),
    ...(waits ? ['respond_async: bool = False'] : []),
  ];
  const url = path.replace(/\{(\w+)\}/g, (_all, name: string) => `{_part(${pythonName(name)})}`);
  const call = [
    JSON.stringify(verb.toUpperCase()),
    `${inPath.length > 0 ? 'f' : ''}"${url}"`,
    ...(query.length > 0 ? [`query=${given(query)}`] : []),
    ...(whole ? ['body=body'] : json ? [`body=${given(fields)}`] : []),
    ...(takesLines ? ['lines=lines'] : []),
    ...(waits ? ['headers={"Prefer": "respond-async"} if respond_async else None'] : []),
  ];
  const signature = ['self', ...positional, ...(options.length > 0 ? ['*', ...options] : [])];
  return [
    `    def ${pythonName(operationId)}(`,
    ...signature.map((one) => `        ${one},`),
    '    ) -> Any:',
    ...docstring(summary === operationId ? description : `${sentence(summary)} ${description}`),
    '        return self.request(',
    ...call.map((one) => `            ${one},`),
    '        )',
    '',
  ].join('\n');
}

function isObject(schema: Media['schema']): boolean {
  return schema.type === 'object' && schema.additionalProperties === false;
}

function fieldsOf(schema: Media['schema']): Argument[] {
  const { properties = {}, required = [] } = schema;
  const all = Object.entries(properties).map(([name, one]) => argumentOf(name, one, required.includes(name)));
  return [...all.filter((one) => one.required), ...all.filter((one) => !one.required)];
}

function argumentOf(field: string, schema: Json, required: boolean): Argument {
  return { name: pythonName(field), field, hint: hintOf(schema), required };
}

function given(fields: readonly Argument[]): string {
  if (fields.length === 0) return '{}';
  const plain = fields.every(({ name, field }) => name === field);
  if (plain) return `_given(${fields.map(({ name }) => `${name}=${name}`).join(', ')})`;
  return `_given(**{${fields.map(({ name, field }) => `"${field}": ${name}`).join(', ')}})`;
}

/** `map-dma` and `dmaEntryLimit` as Python writes them. */
function pythonName(name: string): string {
  const snake = name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/\W/g, '_')
    .toLowerCase();
  return RESERVED.has(snake) ? `${snake}_` : snake;
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function docstring(text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.replaceAll('\\', '\\\\').split(/\s+/)) {
    if (line !== '' && `        ${line} ${word}`.length > WIDTH - 4) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  lines.push(line);
  if (lines.length === 1) return [`        """${lines[0]}"""`];
  return [`        """${lines[0]}`, ...lines.slice(1).map((one) => `        ${one}`), '        """'];
}
