import { ConfigError, keyOf, linesOf, loadConfig, readTree, type Environment } from '../config.ts';
import { isTree, valueAt, type Tree } from '../config-problems.ts';
import type { Config } from '../config-schema.ts';
import { loadDefinitions } from '../definitions.ts';
import { messageOf } from '../domain/errors.ts';
import { checkFlags } from '../proxy/flags.ts';

/** One thing that keeps a start from using the file. */
export interface ConfigProblem {
  /** The setting; empty where the file as a whole is meant. */
  readonly key: string;
  /** Null where the file does not have it. */
  readonly line: number | null;
  readonly message: string;
}

/** Everything that a start with this file would refuse. Starts nothing. */
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

/** What the file holds, also where settings are wrong; undefined where it is no YAML. */
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
