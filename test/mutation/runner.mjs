// A test runner for Stryker: every recorded scenario and every test of the kernel in one process, without a framework around
// them. What is known of Stryker's own names: https://stryker-mutator.io/docs/stryker-js/guides/create-a-plugin

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, resolve } from 'node:path';
import { constants, Script } from 'node:vm';
import { declareFactoryPlugin, PluginKind } from '@stryker-mutator/api/plugin';
import { DryRunStatus, MutantRunStatus, TestStatus } from '@stryker-mutator/api/test-runner';

/** How many tests a mutant is tried with, and for how many milliseconds of processor time: of every file that reaches it. */
const MOST = { tests: 150, ms: 1000 };
/** First of all those that reach the least code besides: they are about it. */
const FIRST = { tests: 50, ms: 300 };
/**
 * Besides, for as many mutants before and after it in the file: four tests that reach both. They take the ways through the code
 * around it, of which one is where it shows.
 */
const NEAR = 20;
/** How many of one file's are considered, short ones and long ones. */
const OF_A_FILE = 30;
/**
 * Which test of which file is tried first, both from 0 on, the files that are about the least code first: the file that is
 * about a mutant's own code gives many, one that is about everything gives a few.
 */
const TURNS = Array.from({ length: 500 * OF_A_FILE }, (_, i) => [Math.floor(i / OF_A_FILE), i % OF_A_FILE]);
TURNS.sort(([a, m], [b, n]) => (a + 1) * (m + 1) - (b + 1) * (n + 1));
/** Milliseconds until a test that never ends is given up; so many times what it takes, and so many more. */
const PATIENCE = { factor: 30, more: 2000 };

/** A part of the mutants, by a hash of each and of the seed: `MUTATION_SAMPLE=0.25 MUTATION_SEED=7`. */
const SAMPLE = { share: Number(process.env.MUTATION_SAMPLE ?? 1), seed: process.env.MUTATION_SEED ?? '1' };

/** Milliseconds for a test that ended before. */
const LONG = 600_000;

const BUNDLE = 'dist/mutation/tests.cjs';
const TIMES = 'dist/mutation/times.json';

/** Stryker's switches, which the mutated code reads. */
globalThis.__stryker__ ??= {};
const stryker = globalThis.__stryker__;

/** Calls what it is given, and ends it when it has taken too long. */
const caller = new Script('globalThis.__call()');

class OneProcess {
  file = resolve(BUNDLE);
  tests = null;
  times = null;

  capabilities() {
    return { reloadEnvironment: true };
  }

  init() {
    // Stryker's own counting, and asking for each mutant by a call, are most of the time that mutated code takes.
    let last = 0;
    const code = readFileSync(this.file, 'utf8')
      .replace(/stryCov_9fa48(?:\$\d+)?\(("\d+"[^)]*)\)/g, (_, ids) => {
        last = Math.max(last, ...ids.match(/\d+/g).map(Number));
        return `(${ids.replace(/"(\d+)"/g, 'reached__[$1]++')})`;
      })
      .replace(/(stryMutAct_9fa48(?:\$\d+)?)\(("\d+")\)/g, '(stryker__.activeMutant === $2 && $1($2))');
    this.reached = new Uint32Array(last + 1);
    const head = '(function (exports, require, module, __filename, __dirname, stryker__, reached__) {';
    this.script = new Script(`${head}${code}\n})`, {
      filename: this.file,
      importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    });
  }

  /** Evaluates program and tests afresh. */
  load() {
    const module = { exports: {} };
    const { file, reached } = this;
    const evaluate = this.script.runInThisContext();
    evaluate(module.exports, createRequire(file), module, file, dirname(file), stryker, reached);
    this.tests = module.exports.registered;
  }

  /** What was reached since this was asked last: mutants, and how often. */
  takeReached() {
    const found = [];
    for (let mutant = 0; mutant < this.reached.length; mutant++) {
      if (this.reached[mutant] > 0) found.push([mutant, this.reached[mutant]]);
    }
    this.reached.fill(0);
    return found;
  }

  /** Runs every test once: what it takes, and which mutants it reaches. */
  async dryRun() {
    this.load();
    const atStart = Object.fromEntries(this.takeReached());
    const files = byFile(this.tests);
    const ofFiles = [];
    const results = [];
    /** Whether each test reaches each mutant. */
    const all = [];
    this.times = [];
    for (const indices of files.values()) {
      const reached = new Map();
      for (const index of indices) {
        const began = process.cpuUsage();
        const { error } = await this.run(index, LONG);
        const { user, system } = process.cpuUsage(began);
        const timeSpentMs = (user + system) / 1000;
        this.times[index] = timeSpentMs;
        const test = { id: String(index), name: this.tests[index].id, timeSpentMs };
        results.push(
          error
            ? { ...test, status: TestStatus.Failed, failureMessage: String(error.stack ?? error) }
            : { ...test, status: TestStatus.Success },
        );
        all[index] = Uint8Array.from(this.reached, (hits) => (hits > 0 ? 1 : 0));
        for (const [mutant] of this.takeReached()) listOf(reached, mutant).push(index);
      }
      ofFiles.push(reached);
    }
    const reach = new Map();
    for (const reached of ofFiles.sort((a, b) => a.size - b.size)) {
      for (const [mutant, list] of reached) {
        list.sort((a, b) => this.times[a] - this.times[b]);
        listOf(reach, mutant).push(spread(list, OF_A_FILE));
      }
    }
    const sizes = all.map((reaches) => reaches.reduce((sum, one) => sum + one, 0));
    const bySize = [...all.keys()].sort((a, b) => sizes[a] - sizes[b]);
    const perTest = {};
    for (const [mutant, lists] of reach) {
      const near = this.first(bySize, (index) => all[index][mutant]);
      for (let other = mutant - NEAR; other <= mutant + NEAR; other++) {
        const both = (reach.get(other) ?? []).map((list) => list.filter((index) => all[index][mutant]));
        near.push(...this.inTurns(both, 4, MOST.ms));
      }
      const chosen = new Set([...near, ...this.inTurns(lists, MOST.tests, MOST.ms)]);
      if (chosen.size === 0) chosen.add(lists[0][0]);
      for (const index of chosen) {
        perTest[index] ??= {};
        perTest[index][mutant] = 1;
      }
    }
    writeFileSync(TIMES, JSON.stringify(this.times));
    for (const mutant of reach.keys()) delete atStart[mutant];
    return { status: DryRunStatus.Complete, tests: results, mutantCoverage: { static: atStart, perTest } };
  }

  async mutantRun({ activeMutant, testFilter }) {
    if (!isInSample(activeMutant))
      return { status: MutantRunStatus.Error, errorMessage: 'not in the sample' };
    this.times ??= JSON.parse(readFileSync(TIMES, 'utf8'));
    if (!this.tests) this.load();
    const indices = testFilter.map(Number);
    indices.sort((a, b) => this.times[a] - this.times[b]);
    let tried = 0;
    for (const index of indices) {
      tried++;
      stryker.activeMutant = activeMutant.id;
      const result = await this.run(index, PATIENCE.factor * this.times[index] + PATIENCE.more);
      stryker.activeMutant = undefined;
      if (result.isLate) {
        this.tests = null;
        return { status: MutantRunStatus.Timeout, reason: `in ${index}` };
      }
      if (!result.error) continue;
      if ((await this.run(index, LONG)).error && !(await this.failsAfresh(index, activeMutant.id))) continue;
      return killed(result.error, String(index), tried);
    }
    return { status: MutantRunStatus.Survived, nrOfTests: tried };
  }

  /** Whether a test fails by this mutant alone: what an earlier one, or this one, left behind in a module is gone. */
  async failsAfresh(index, mutant) {
    this.load();
    const { error } = await this.run(index, LONG);
    if (error) process.stderr.write(`fails without a mutant: ${this.tests[index].id}\n`);
    stryker.activeMutant = mutant;
    const fails = error === null && (await this.run(index, LONG)).error !== null;
    stryker.activeMutant = undefined;
    this.load();
    return fails;
  }

  /** The first tests of a list that reach what is asked for. */
  first(list, reaches) {
    const found = [];
    let left = FIRST.ms;
    for (const index of list) {
      if (!reaches(index) || this.times[index] > left) continue;
      left -= this.times[index];
      found.push(index);
      if (found.length >= FIRST.tests) break;
    }
    return found;
  }

  /** Tests of several lists, in turns: so many, and of so many milliseconds. */
  inTurns(lists, most, ms) {
    const found = [];
    let left = ms;
    for (const [file, turn] of TURNS) {
      const index = lists[file]?.[turn];
      if (index === undefined || this.times[index] > left) continue;
      left -= this.times[index];
      found.push(index);
      if (found.length >= most) break;
    }
    return found;
  }

  /** Runs one test. */
  async run(index, timeout) {
    const { log } = console;
    console.log = () => {};
    let timer;
    try {
      globalThis.__call = this.tests[index].run;
      const running = caller.runInThisContext({ timeout: Math.ceil(timeout) });
      if (!(running instanceof Promise)) return { error: null, isLate: false };
      const late = new Promise((resolve) => {
        timer = setTimeout(resolve, timeout, { error: 'it never ended', isLate: true });
      });
      return await Promise.race([running.then(() => ({ error: null, isLate: false })), late]);
    } catch (error) {
      return { error: error ?? 'nothing was thrown', isLate: error?.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT' };
    } finally {
      clearTimeout(timer);
      console.log = log;
    }
  }
}

function killed(error, by, nrOfTests) {
  return {
    status: MutantRunStatus.Killed,
    killedBy: [by],
    failureMessage: String(error?.message ?? error).slice(0, 200),
    nrOfTests,
  };
}

/** A mutated file as it is called in the repository. */
function relative(path) {
  return path.slice(path.lastIndexOf('/src/') + 1);
}

function isInSample({ fileName: path, location: { start, end }, mutatorName, replacement }) {
  const name = JSON.stringify([SAMPLE.seed, relative(path), start, end, mutatorName, replacement]);
  return createHash('md5').update(name).digest().readUInt32LE() < SAMPLE.share * 2 ** 32;
}

function byFile(tests) {
  const files = new Map();
  for (const [index, { file }] of tests.entries()) listOf(files, file).push(index);
  return files;
}

/** The list of a key, which is there from now on. */
function listOf(map, key) {
  const list = map.get(key) ?? [];
  map.set(key, list);
  return list;
}

/** So many of a list, from its beginning to its end. */
function spread(list, count) {
  if (list.length <= count) return list;
  return Array.from({ length: count }, (_, i) => list[Math.floor((i * list.length) / count)]);
}

export const strykerPlugins = [
  declareFactoryPlugin(PluginKind.TestRunner, 'one-process', () => new OneProcess()),
];
