import { expect, test } from 'vitest';
import { DEFAULT_CONFIG, limitRows, settingsHelp } from '../../src/config.ts';

/** Numbers that limit nothing. */
const NO_LIMITS = ['port'];

test('every setting that is a number is a limit, with its unit and what is answered at it, in --help too', () => {
  const numbers = Object.entries(DEFAULT_CONFIG).filter(([, value]) => typeof value === 'number');
  const names = numbers.map(([name]) => name).filter((name) => !NO_LIMITS.includes(name));
  const rows = limitRows();
  expect(rows).toHaveLength(names.length);
  for (const { flag, unit, answer, variable } of rows) {
    expect(unit).toMatch(/\S/);
    expect(answer).toMatch(/\S/);
    expect(settingsHelp()).toMatch(new RegExp(`--${flag} VALUE.*${variable}; default .*; at it `));
  }
});
