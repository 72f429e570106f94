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
const MOST = { tests: 300, ms: 2000 };
/** How many of one file's are considered, short ones and long ones. */
const OF_A_FILE = 30;
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
    const reach = new Map();
    const results = [];
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
        for (const [mutant, hits] of this.takeReached()) {
          listOf(reached, mutant).push({ index, hits });
        }
      }
      for (const [mutant, list] of reached) {
        list.sort((a, b) => b.hits / this.times[b.index] - a.hits / this.times[a.index]);
        const half = OF_A_FILE / 2;
        listOf(reach, mutant).push([...list.slice(0, half), ...spread(list.slice(half), half)]);
      }
    }
    const perTest = {};
    for (const [mutant, lists] of reach) {
      for (const { index, hits } of this.chosen(lists)) {
        perTest[index] ??= {};
        perTest[index][mutant] = hits;
      }
    }
    writeFileSync(TIMES, JSON.stringify(this.times));
    for (const mutant of reach.keys()) delete atStart[mutant];
    return { status: DryRunStatus.Complete, tests: results, mutantCoverage: { static: atStart, perTest } };
  }

  async mutantRun({ activeMutant, testFilter, hitLimit, mutantActivation }) {
    if (!isInSample(activeMutant))
      return { status: MutantRunStatus.Error, errorMessage: 'not in the sample' };
    this.times ??= JSON.parse(readFileSync(TIMES, 'utf8'));
    const isStatic = mutantActivation === 'static';
    if (isStatic) {
      stryker.activeMutant = activeMutant.id;
      try {
        this.load();
      } catch (error) {
        this.tests = null;
        return killed(error, 'loading', 0);
      } finally {
        stryker.activeMutant = undefined;
      }
    } else if (!this.tests) this.load();
    const indices = testFilter?.map(Number) ?? this.testsOf(relative(activeMutant.fileName));
    indices.sort((a, b) => this.times[a] - this.times[b]);
    let tried = 0;
    for (const index of indices) {
      tried++;
      stryker.activeMutant = activeMutant.id;
      stryker.hitCount = 0;
      stryker.hitLimit = hitLimit ?? Number.MAX_SAFE_INTEGER;
      const result = await this.run(index, PATIENCE.factor * this.times[index] + PATIENCE.more);
      stryker.activeMutant = undefined;
      if (result.isLate || stryker.hitCount > stryker.hitLimit) {
        this.tests = null;
        return { status: MutantRunStatus.Timeout, reason: `in ${index}` };
      }
      if (!result.error) continue;
      if (isStatic) this.tests = null;
      else if ((await this.run(index, LONG)).error && !(await this.failsAfresh(index, activeMutant.id)))
        continue;
      return killed(result.error, String(index), tried);
    }
    if (isStatic) this.tests = null;
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

  /** Tests for what is only run when its module is evaluated: of that kernel or driver first, by what files are called. */
  testsOf(path) {
    const words =
      path.match(/(?<=linux-)[\d.]+(?:-iommufd)?(?=\.ts)|(?<=drivers\/)[^/]+(?=\/)|iommufd/g) ?? [];
    const lists = [[], []];
    for (const [file, indices] of byFile(this.tests)) {
      const isOthers = !words.some((word) => file.includes(word));
      lists[Number(isOthers)].push(spread(indices, OF_A_FILE).map((index) => ({ index })));
    }
    return lists.flatMap((some) => this.inTurns(some, MOST.tests / 2, MOST.ms / 2)).map(({ index }) => index);
  }

  /**
   * Tests for a mutant that these reach, a list of each file: half of them those that are about it, which reach it most in
   * their time; half of every file in turn.
   */
  chosen(lists) {
    const all = lists.flat().sort((a, b) => b.hits / this.times[b.index] - a.hits / this.times[a.index]);
    const about = this.inTurns([all], MOST.tests / 2, MOST.ms / 2);
    const others = lists.map((list) => list.filter((each) => !about.includes(each)));
    const found = [...about, ...this.inTurns(others, MOST.tests / 2, MOST.ms / 2)];
    return found.length > 0 ? found : all.slice(0, 1);
  }

  /** Tests of several lists, one of each in turn: so many, and of so many milliseconds. */
  inTurns(lists, most, ms) {
    const found = [];
    let left = ms;
    const longest = Math.max(0, ...lists.map(({ length }) => length));
    for (let turn = 0; turn < longest; turn++) {
      for (const list of lists) {
        const time = turn < list.length ? this.times[list[turn].index] : Number.POSITIVE_INFINITY;
        if (time > left || found.length >= most) continue;
        left -= time;
        found.push(list[turn]);
      }
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
