import { parentPort, workerData } from 'node:worker_threads';
import { generationOf } from '../kernel/generations/index.ts';
import { atOnce } from '../turns.ts';
import { CONTROL, type Share, type ThreadData } from './control.ts';
import { Expander } from './expander.ts';
import { Remembered } from './remembered.ts';
import { sceneOfRequest } from './request.ts';
import { setScene } from './set-scene.ts';
import { RESERVED, Visited } from './visited.ts';
import { Walker } from './walker.ts';

/**
 * Does this thread's share of a layer: the states that it has found itself, because it has kept those, and then what
 * others have not come to, until there are none left, or it is to stop.
 */
function share(expander: Expander, visited: Visited, control: Int32Array): Share {
  const end = control[CONTROL.end]!;
  const isLast = control[CONTROL.isLast] === 1;
  const isStopped = () => Atomics.load(control, CONTROL.stop) === 1 || visited.isFull;
  const goOnFrom = (state: number) => {
    if (!visited.take(state)) return;
    const before = expander.transitions;
    // Whoever reaches the goal ends the layer for all; others may reach it by a path that is as short.
    if (atOnce(expander.expand(state, isLast))) Atomics.store(control, CONTROL.next, end);
    Atomics.add(control, CONTROL.transitions, expander.transitions - before);
  };
  for (const state of expander.keptBelow(end)) {
    if (isStopped() || Atomics.load(control, CONTROL.next) >= end) break;
    goOnFrom(state);
  }
  for (;;) {
    const first = Atomics.add(control, CONTROL.next, RESERVED);
    if (first >= end) break;
    for (let state = first; state < Math.min(first + RESERVED, end) && !isStopped(); state++) goOnFrom(state);
    if (isStopped()) break;
  }
  visited.dropSpare();
  expander.forget(end);
  return { hits: [...expander.hits.values()] };
}

const { request, states, remembered, control } = workerData as ThreadData;
const gen = generationOf(request.kernel)!;
const visited = new Visited(states, RESERVED);
const memory = new Remembered(remembered);
const scene = sceneOfRequest({ ...request, gen });
const walker = new Walker(scene, atOnce(setScene(scene, memory.entries)));
const expander = new Expander(walker, visited, memory, request.goal);
parentPort!.on('message', () => parentPort!.postMessage(share(expander, visited, control)));
