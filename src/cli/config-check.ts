import { ConfigError, type Environment, keyOf, linesOf, loadConfig, readTree } from '../config/config.ts';
import { isTree, type Tree, valueAt } from '../config/problems.ts';
import type { Config } from '../config/schema.ts';
import { loadDefinitions } from '../compose/definitions.ts';
import { messageOf } from '../domain/errors.ts';
import { checkFlags } from '../compose/flags.ts';
import { FLAG_PREFIX, KILL_SWITCH, SERVICE_FLAGS } from '../domain/flags.ts';
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
  const settings = settingProblems(file, env);
  const tree = treeOf(file);
  const others =
    tree === undefined ? [] : [...(await flagProblems(tree)), ...(await definitionProblems(tree))];
  return placed(file, [...settings, ...others]);
}

/** What does not stop a start and is probably a mistake: flags in the files that Crossfade does not know. */
export async function checkFlagNames(file: string): Promise<ConfigProblem[]> {
  const tree = treeOf(file);
  const config = tree === undefined ? undefined : flagConfigOf(tree);
  if (tree === undefined || config === undefined) return [];
  const defined = await checkFlags(config).catch(() => []);
  const services = Object.keys(isTree(tree['services']) ? tree['services'] : {});
  const warnings = defined.flatMap((name) => unknownFlag(name, { defined, services }));
  return placed(
    file,
    warnings.map((warning) => `rollout.folder: ${warning}`),
  );
}

function placed(file: string, messages: readonly string[]): ConfigProblem[] {
  const lineOf = linesOf(file);
  return messages.map((message) => {
    const key = keyOf(message);
    return { key, line: lineOf(key) ?? null, message };
  });
}

function settingProblems(file: string, env: Environment): readonly string[] {
  try {
    loadConfig(file, env, 'real');
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

/** The file as a tree, even if settings are invalid; undefined if it is not YAML. */
function treeOf(file: string): Tree | undefined {
  try {
    return readTree(file);
  } catch {
    return undefined;
  }
}

const DEFAULT_FOLDER = './flags';

async function flagProblems(tree: Tree): Promise<string[]> {
  const config = flagConfigOf(tree);
  return config === undefined ? [] : problemsOf('rollout.folder: ', () => checkFlags(config));
}

/** Undefined if the flags are not in files. */
function flagConfigOf(tree: Tree): Config | undefined {
  const folder = valueAt(tree, 'rollout.folder') ?? DEFAULT_FOLDER;
  const hasFiles = !isTree(valueAt(tree, 'rollout.unleash')) && typeof folder === 'string';
  return hasFiles ? ({ rollout: { folder } } as Config) : undefined;
}

async function definitionProblems(tree: Tree): Promise<string[]> {
  const services = isTree(tree['services']) ? tree['services'] : {};
  const found = Object.entries(services).map(([name, service]) => {
    const only = { services: { [name]: isTree(service) ? service : {} } } as unknown as Config;
    return problemsOf('', () => loadDefinitions(only));
  });
  return (await Promise.all(found)).flat();
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
