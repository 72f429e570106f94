// A button beside what the kernel reported: the calls that lead there, and no others.

import { button, element } from './dom.js';

/** @typedef {{ finding: string, before: number, after: number, scenario: { steps: Record<string, unknown>[] } }} Shrunk */
/** @typedef {(goal: string) => Promise<Shrunk>} Shrink what shrinks the rig's trace to one that comes to the goal */

/** What a trace is to come to, of the kinds there is a button for. @type {Readonly<Record<string, string>>} */
const GOALS = { BUG_ON: 'BUG_ON', WARN_ON: 'WARN_ON', WARN_ON_ONCE: 'WARN_ON', DEADLOCK: 'DEADLOCK' };

/**
 * The button, with what comes of it below; null for what there is none for.
 * @param {string} kind of the splat
 * @param {Shrink} shrink
 * @returns {HTMLElement | null}
 */
export function shrinkButton(kind, shrink) {
  const goal = GOALS[kind];
  if (goal === undefined) return null;
  const place = element('div', 'shrink');
  const ask = button('shortest trace', `the fewest calls that still come to the ${goal}`);
  ask.onclick = async () => {
    ask.disabled = true;
    ask.textContent = 'shrinking …';
    try {
      place.replaceChildren(...shown(await shrink(goal)));
    } catch (error) {
      ask.disabled = false;
      ask.textContent = 'shortest trace';
      place.replaceChildren(
        ask,
        element('span', 'says', error instanceof Error ? error.message : String(error)),
      );
    }
  };
  place.append(ask);
  return place;
}

/** @param {Shrunk} shrunk */
function shown({ finding, before, after, scenario }) {
  const calls = scenario.steps.map(({ expect: _expect, ...call }) => JSON.stringify(call));
  return [
    element('div', 'says', `${finding}: ${after} of ${before} calls`),
    element('pre', 'trace num', calls.join('\n')),
  ];
}
