import { ConfigError, keyOf, linesOf, loadConfig, readTree, type Environment } from '../config.ts';
import { isTree, valueAt, type Tree } from '../config-problems.ts';
import type { Config } from '../config-schema.ts';
import { loadDefinitions } from '../definitions.ts';
import { messageOf } from '../domain/errors.ts';
import { checkFlags } from '../proxy/flags.ts';

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
  const lineOf = linesOf(file);
  return [...settings, ...others].map((message) => {
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
  const folder = valueAt(tree, 'rollout.folder') ?? DEFAULT_FOLDER;
  if (isTree(valueAt(tree, 'rollout.unleash')) || typeof folder !== 'string') return [];
  return problemsOf('rollout.folder: ', () => checkFlags({ rollout: { folder } } as Config));
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
