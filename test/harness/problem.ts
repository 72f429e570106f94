import { expect } from 'vitest';
import type { Answer } from './http-rig.ts';

/** The media type of every problem. */
export const PROBLEM = 'application/problem+json; charset=utf-8';

/** What a problem must be. */
interface Expected {
  status: number;
  /** Absent: no errno may be there. */
  errno?: string;
  errnoNumber?: number;
  /** Ends `type`. */
  slug?: string;
  /** What `detail` must name: the value and the rule. */
  detail?: readonly (string | RegExp)[];
}

/** Holds an answer against what the contract says of every problem. */
export function expectProblem(answer: Answer, expected: Expected): void {
  const { body } = answer;
  expect(answer.status, JSON.stringify(body)).toBe(expected.status);
  expect(answer.type).toBe(PROBLEM);
  expect(body.status).toBe(expected.status);
  expect(body.type).toMatch(/^urn:/);
  if (expected.slug !== undefined) expect(body.type).toMatch(new RegExp(`:${expected.slug}$`));
  expect(body.title).toMatch(/\S/);
  expect(body.detail).toMatch(/\S/);
  expect(body.instance).toMatch(/\S/);
  const answeredId = answer.headers['x-request-id'];
  if (answeredId !== undefined) expect(body.instance).toBe(answeredId);
  expect(body.errno).toBe(expected.errno);
  if (expected.errno === undefined) expect(body).not.toHaveProperty('errnoNumber');
  else expect(body.errnoNumber).toEqual(expected.errnoNumber ?? expect.any(Number));
  for (const part of expected.detail ?? []) {
    if (typeof part === 'string') expect(body.detail).toContain(part);
    else expect(body.detail).toMatch(part);
  }
}
