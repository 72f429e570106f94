import type { Static } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { parseArguments, UsageError } from './arguments.ts';
import { DEFAULT_LIMITS, type HostLimits } from './host/limits.ts';
import { DEFAULT_VERSION } from './kernel/generations/index.ts';
import { PAGE_SIZE } from './kernel/pages.ts';
import { flag, SETTINGS, type Setting, type SettingName, SWITCH } from './settings.ts';
import { DEFAULT_WEBHOOK_ALLOW } from './webhook/allow.ts';

/** The service's configuration, checked. */
export type Config = {
  readonly [K in SettingName]: Static<(typeof SETTINGS)[K]['schema']>;
};

export const DEFAULT_CONFIG: Config = {
  host: '127.0.0.1',
  port: 8080,
  portFile: '',
  socket: '',
  allowedHosts: '',
  authToken: '',
  allowPanic: false,
  logLevel: 'info',
  kernel: DEFAULT_VERSION,
  seedFile: '',
  panicOnWarn: false,
  panicOnOops: false,
  processMemory: 'emulated',
  webhookAllow: DEFAULT_WEBHOOK_ALLOW,
  requestSeconds: 30,
  writeSeconds: 60,
  keepAliveSeconds: 75,
  maxConnections: 4096,
  maxReaders: 2048,
  maxWorks: 256,
  workSeconds: 120,
  maxBatchLines: 1_000_000,
  maxRigs: 1024,
  rigIdleSeconds: 3600,
  maxProcesses: DEFAULT_LIMITS.processes,
  maxContainers: DEFAULT_LIMITS.containers,
  maxDevices: DEFAULT_LIMITS.devices,
  maxJournal: DEFAULT_LIMITS.journal,
  maxTrace: DEFAULT_LIMITS.trace,
  maxPendingCalls: DEFAULT_LIMITS.pendingCalls,
  maxRegions: DEFAULT_LIMITS.regions,
  maxFiles: DEFAULT_LIMITS.files,
  maxResidentPages: DEFAULT_LIMITS.residentPages,
  rigMemory: DEFAULT_LIMITS.rigPages * PAGE_SIZE,
  totalMemory: 1024 * 1024 * 1024,
  maxPins: DEFAULT_LIMITS.pins,
  rigObjects: DEFAULT_LIMITS.objectBytes,
  totalObjects: 1024 * 1024 * 1024,
  maxFaults: DEFAULT_LIMITS.faults,
  maxDirtyBitmaps: DEFAULT_LIMITS.dirtyBitmapBytes,
  totalDirtyBitmaps: 1024 * 1024 * 1024,
  searchBytes: 64 * 1024 * 1024,
  logBytes: 1024 * 1024,
  rigBytes: DEFAULT_LIMITS.logBytes,
  totalBytes: 96 * 1024 * 1024,
  answerBytes: 64 * 1024 * 1024,
  bodyBytes: 128 * 1024 * 1024,
  bodyLimit: 32 * 1024 * 1024,
  maxValues: 4_000_000,
  compareSteps: 2000,
  replayBodyLimit: 64 * 1024 * 1024,
};

/** A setting that is not what it must be; the message names it, its value and the rule. */
class ConfigError extends UsageError {}

/** Name of a setting's environment variable. */
function envName(name: SettingName): string {
  return SETTINGS[name].flag.toUpperCase().replaceAll('-', '_');
}

/** A switch that stands alone (`--panic-on-warn`) with the value it means. */
function spellOut(arg: string, at: number, all: readonly string[]): string {
  const isSwitch = Object.values(SETTINGS).some(
    (setting) => setting.schema === flag.schema && arg === `--${setting.flag}`,
  );
  const next = all[at + 1];
  return isSwitch && (next === undefined || !Object.hasOwn(SWITCH, next)) ? `${arg}=true` : arg;
}

/**
 * Reads the configuration; a flag wins over the environment.
 *
 * @param args command line without the program
 * @throws UsageError for an unknown flag, ConfigError for a value that breaks its rule
 */
export function readConfig(args: readonly string[], env: NodeJS.ProcessEnv): Config {
  const options = Object.fromEntries(
    Object.values(SETTINGS).map((setting) => [setting.flag, { type: 'string' as const }]),
  );
  const given = parseArguments(args.map(spellOut), options, false);
  const values = given.values as Record<string, string | undefined>;
  const config: Record<string, unknown> = { ...DEFAULT_CONFIG };
  for (const name of Object.keys(SETTINGS) as SettingName[]) {
    const setting = SETTINGS[name];
    const fromFlag = values[setting.flag];
    const text = fromFlag ?? env[envName(name)];
    if (text === undefined) continue;
    const value = setting.parse(text);
    if (!Value.Check(setting.schema, value)) {
      const where = fromFlag === undefined ? envName(name) : `--${setting.flag}`;
      throw new ConfigError(`${where} is "${text}", but must be ${setting.rule}`);
    }
    config[name] = value;
  }
  return Object.freeze(config) as Config;
}

/** What may be shown of a configuration: everything but its token. */
export function shownConfig(config: Config): Config {
  return config.authToken === '' ? config : { ...config, authToken: '***' };
}

/** The hosts a service may be asked as, besides its own. */
export function allowedHosts({ allowedHosts: text }: Config): readonly string[] | 'any' {
  return text === 'any' ? 'any' : text.split(',').filter(Boolean);
}

/** Where a service listens: its socket, or else its address. */
export function listenOn({ socket, host, port }: Config): { path: string } | { host: string; port: number } {
  return socket === '' ? { host, port } : { path: socket };
}

/** The limits of a host as configured. */
export function hostLimits(config: Config): HostLimits {
  return {
    ...DEFAULT_LIMITS,
    processes: config.maxProcesses,
    containers: config.maxContainers,
    devices: config.maxDevices,
    journal: config.maxJournal,
    trace: config.maxTrace,
    pendingCalls: config.maxPendingCalls,
    regions: config.maxRegions,
    files: config.maxFiles,
    residentPages: config.maxResidentPages,
    rigPages: Math.floor(config.rigMemory / PAGE_SIZE),
    objectBytes: config.rigObjects,
    pins: config.maxPins,
    faults: config.maxFaults,
    dirtyBitmapBytes: config.maxDirtyBitmaps,
    logBytes: config.rigBytes,
  };
}

/** The limits, as docs/limits.md has them. */
export function limitRows() {
  return (Object.keys(SETTINGS) as SettingName[]).flatMap((name) => {
    const { flag: name_, help, limit }: Setting = SETTINGS[name];
    if (!limit) return [];
    const [unit, answer] = limit;
    return [{ help, flag: name_, variable: envName(name), value: DEFAULT_CONFIG[name], unit, answer }];
  });
}

/** What `--help` says of the settings. */
export function settingsHelp(): string {
  return (Object.keys(SETTINGS) as SettingName[])
    .map((name) => {
      const { flag: name_, help, rule, limit }: Setting = SETTINGS[name];
      const left = `  --${name_} VALUE`.padEnd(30);
      return `${left}${help}: ${rule} (${envName(name)}; default ${DEFAULT_CONFIG[name] === '' ? 'none' : DEFAULT_CONFIG[name]}${limit ? `; at it ${limit[1].replaceAll('`', '')}` : ''})`;
    })
    .join('\n');
}
