import { ConfigError, type Environment, keyOf, linesOf, readSettings } from '../config/config.ts';
import { isTree, type Tree, valueAt } from '../config/problems.ts';
import type { Config } from '../config/schema.ts';
import {
  type DefinedService,
  DefinitionError,
  loadDefinitions,
  prefixesUsedTwice,
} from '../compose/definitions.ts';
import { messageOf } from '../domain/errors.ts';
import { checkFlags } from '../compose/flags.ts';
import { callsOfOurselves, portsUsedTwice } from '../compose/ports.ts';
import { FLAG_PREFIX, flagName, KILL_SWITCH, SERVICE_FLAGS } from '../domain/flags.ts';
import { serviceName } from '../domain/ids.ts';
import { isReadable, type LegacyAccess } from '../domain/service-definition.ts';
import { nearestName } from '../shared/nearest-name.ts';

/** One reason why a start would refuse the file. */
export interface ConfigProblem {
  /** The setting; empty if the problem concerns the whole file. */
  readonly key: string;
  /** Null if the file does not contain the setting. */
  readonly line: number | null;
  readonly message: string;
}

/** Every problem for which a start with this file would fail. Starts nothing. */
export async function checkConfig(file: string, env: Environment): Promise<ConfigProblem[]> {
  const { tree, problems } = settingsOf(file, env);
  if (tree === undefined) return placed(file, problems);
  const { services, problems: ofDefinitions } = await definitionsOf(tree['services']);
  const all = [
    ...problems,
    ...(await flagProblems(tree)),
    ...ofDefinitions,
    ...clashes(tree as Config, services),
  ];
  // The settings alone may show the same clash of two ports.
  return placed(file, [...new Set(all)]);
}

/** What fits in each definition, and not together. */
function clashes(config: Config, services: readonly DefinedService[]): string[] {
  const usable = services.filter((service) => isTree(service.config.legacy));
  return [
    ...prefixesUsedTwice(services),
    ...portsUsedTwice(config, usable),
    ...callsOfOurselves(config, usable),
  ];
}

/**
 * What does not stop a start and is probably a mistake. Examples are unknown flags in the files, services without flags, and
 * services whose lanes cannot be copied.
 */
export async function checkForWarnings(file: string, env: Environment): Promise<ConfigProblem[]> {
  const { tree } = settingsOf(file, env);
  if (tree === undefined) return [];
  const { services } = await definitionsOf(tree['services']);
  return placed(file, [...(await flagWarnings(tree)), ...services.flatMap(storeWarning)]);
}

async function flagWarnings(tree: Tree): Promise<string[]> {
  const config = flagConfigOf(tree);
  if (config === undefined) return [];
  const defined = await checkFlags(config).catch(() => undefined);
  if (defined === undefined) return [];
  const services = Object.keys(isTree(tree['services']) ? tree['services'] : {});
  const warnings = [
    ...defined.flatMap((name) => unknownFlag(name, { defined, services })),
    ...services.flatMap((service) => missingFlags(service, config.rollout.folder, defined)),
  ];
  return warnings.map((warning) => `rollout.folder: ${warning}`);
}

/** The flags without which nothing of a service moves. */
const NEEDED = ['dual-write', 'shadow-read', 'read-cutover'] as const;

function missingFlags(service: string, folder: string, defined: readonly string[]): string[] {
  const missing = NEEDED.map((flag) => flagName(serviceName(service), flag)).filter(
    (name) => !defined.includes(name),
  );
  if (missing.length === 0) return [];
  return [`the files in ${folder} do not define ${missing.join(', ')}; a flag that is not defined is off`];
}

const STORES = { jsonFile: 'jsonFile', sqliteFile: 'sqlite' } as const;

/** A warning if the lanes of a service cannot be read with the configured stores. Asks the definition, and opens nothing. */
function storeWarning({ name, config, definition }: DefinedService): string[] {
  const configured = Object.entries(STORES).filter(
    ([setting]) => (config.legacy as Tree | undefined)?.[setting] !== undefined,
  );
  const access = accessWith(configured.map(([, store]) => store));
  const where = `services.${name}.legacy`;
  try {
    if (isReadable({ definition, access })) return [];
    const [helpful] = Object.entries(STORES).filter(([, store]) =>
      isReadable({ definition, access: { ...access, ...accessWith([store]) } }),
    );
    const advice = helpful === undefined ? '' : `; set ${where}.${helpful[0]}`;
    return [`${where}: with these settings the lanes cannot be read, so no lane can be copied${advice}`];
  } catch (error) {
    return [`${where}: lanes.isReadable of the definition failed: ${messageOf(error)}`];
  }
}

/** Only for asking what is configured: it cannot be read. */
function accessWith(stores: readonly ('jsonFile' | 'sqlite')[]): LegacyAccess {
  const refuse = () => Promise.reject(new Error('a check of the settings reads no store'));
  return Object.fromEntries([...stores, 'call'].map((store) => [store, refuse]));
}

function placed(file: string, messages: readonly string[]): ConfigProblem[] {
  const lineOf = linesOf(file);
  return messages.map((message) => {
    const key = keyOf(message);
    return { key, line: lineOf(key) ?? null, message };
  });
}

interface Settings {
  /** With the environment and the defaults, and possibly invalid. Undefined if the file is not YAML. */
  readonly tree?: Tree;
  readonly problems: readonly string[];
}

function settingsOf(file: string, env: Environment): Settings {
  try {
    return readSettings(file, env, 'real');
  } catch (error) {
    if (error instanceof ConfigError) return { problems: error.problems };
    throw error;
  }
}

async function flagProblems(tree: Tree): Promise<string[]> {
  const config = flagConfigOf(tree);
  return config === undefined ? [] : problemsOf('rollout.folder: ', () => checkFlags(config));
}

/** Undefined if the flags are not in files. */
function flagConfigOf(tree: Tree): Config | undefined {
  const folder = valueAt(tree, 'rollout.folder');
  const hasFiles = !isTree(valueAt(tree, 'rollout.unleash')) && typeof folder === 'string';
  return hasFiles ? ({ rollout: { folder } } as Config) : undefined;
}

interface Definitions {
  /** Those that could be loaded. */
  readonly services: readonly DefinedService[];
  readonly problems: readonly string[];
}

/** The definitions of all services. @param services as they are in the file, if settings are invalid */
async function definitionsOf(services: unknown): Promise<Definitions> {
  const loaded = await Promise.all(
    Object.entries(isTree(services) ? services : {}).map(([name, service]) =>
      definitionOf(name, isTree(service) ? service : {}),
    ),
  );
  return {
    services: loaded.flatMap((one) => one.services),
    problems: loaded.flatMap((one) => one.problems),
  };
}

async function definitionOf(name: string, service: Tree): Promise<Definitions> {
  try {
    return {
      services: await loadDefinitions({ services: { [name]: service } } as unknown as Config),
      problems: [],
    };
  } catch (error) {
    return { services: [], problems: error instanceof DefinitionError ? error.problems : [messageOf(error)] };
  }
}

async function problemsOf(prefix: string, check: () => Promise<unknown>): Promise<string[]> {
  try {
    await check();
    return [];
  } catch (error) {
    return [`${prefix}${messageOf(error)}`];
  }
}

interface FlagNames {
  /** Of the flag files. */
  readonly defined: readonly string[];
  /** That are configured. */
  readonly services: readonly string[];
}

const OF_SERVICE = /^(.+)\.([^.]+)$/;

/**
 * A warning if a flag in the files is none of Crossfade's. Flags of a service that is not configured are expected, unless a
 * configured service with a similar name lacks the flag.
 */
export function unknownFlag(name: string, { defined, services }: FlagNames): string[] {
  if (!name.startsWith(FLAG_PREFIX)) return [];
  const rest = name.slice(FLAG_PREFIX.length);
  const meant = meantBy(rest, services);
  const isLacking = meant !== undefined && !defined.includes(meant);
  const isOfService = SERVICE_FLAGS.some((flag) => flag === OF_SERVICE.exec(rest)?.[2]);
  if (meant === name || (isOfService && !isLacking)) return [];
  return [`Crossfade has no flag ${name}, so it has no effect${isLacking ? `; did you mean ${meant}?` : ''}`];
}

/** The most similar flag that exists; undefined if none is close. */
function meantBy(rest: string, services: readonly string[]): string | undefined {
  const [, service, flag] = OF_SERVICE.exec(rest) ?? [];
  if (service === undefined || flag === undefined)
    return nearestName(rest, [KILL_SWITCH.slice(FLAG_PREFIX.length)]) && KILL_SWITCH;
  const [nearService, nearFlag] = [nearestName(service, services), nearestName(flag, SERVICE_FLAGS)];
  if (nearService === undefined || nearFlag === undefined) return undefined;
  return `${FLAG_PREFIX}${nearService}.${nearFlag}`;
}
