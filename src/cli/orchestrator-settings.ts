import { Compile } from 'typebox/compile';
import { Settings as Checking } from 'typebox/system';
import { ConfigError, type Environment, merged, nested, readTree, substitutedIn } from '../config/config.ts';
import { schemaProblems, type Tree, valueAt } from '../config/problems.ts';
import {
  accessProblems,
  type AccessSettings,
  defaultsOf,
  type Settings,
  SETTINGS_FROM_ENVIRONMENT,
  SettingsSchema,
} from '../orchestrator/settings.ts';

interface Sources {
  /** YAML. */
  readonly file?: string | undefined;
  readonly env: Environment;
  /** Values from the command line as text, by the path of the setting. They override all others. */
  readonly flags?: Readonly<Record<string, string | undefined>>;
}

/**
 * The settings of an orchestrator. The command line overrides the environment, which overrides the file, which overrides the defaults.
 * @throws ConfigError listing every problem
 */
export function loadOrchestratorSettings({ file, env, flags = {} }: Sources): Settings {
  const problems: string[] = [];
  const substituted = new Set<string>();
  const read = file === undefined ? {} : readTree(file);
  const written = substitutedIn(read, { env, problems, substituted, path: '' }) as Tree;
  const given: (readonly [string, string | undefined])[] = [
    ...SETTINGS_FROM_ENVIRONMENT.map(([name, path]) => [path, env[name]] as const),
    ...Object.entries(flags),
  ];
  const tree = given.reduce(
    (result, [path, text]) => (isGiven(text) ? merged(result, treeOf(path, text)) : result),
    merged(defaultsOf(SettingsSchema), written),
  );
  // The default is 8 errors; a person needs to see all of them at once.
  Checking.Set({ maxErrors: 1_000 });
  const checker = Compile(SettingsSchema);
  if (!checker.Check(tree))
    problems.push(...schemaProblems([...checker.Errors(tree)], { tree, keysAt, variableFor, substituted }));
  problems.push(...listenProblems(tree));
  if (problems.length > 0) throw new ConfigError(file ?? 'of the orchestrator', problems);
  return tree as Settings;
}

function isGiven(text: string | undefined): text is string {
  return text !== undefined && text !== '';
}

function treeOf(path: string, text: string): Tree {
  return nested(path.split('.'), schemaAt(path)['type'] === 'integer' ? numberIn(text) : text);
}

/** A text that is not a number stays as it is, so that the error can quote it. */
function numberIn(text: string): unknown {
  return /^-?[0-9]+$/.test(text) ? Number(text) : text;
}

function schemaAt(path: string): Tree {
  const keys = path === '' ? [] : path.split('.');
  return keys.reduce((schema, key) => propertiesOf(schema)[key] ?? {}, { ...SettingsSchema } as Tree);
}

function keysAt(path: string): string[] {
  return Object.keys(propertiesOf(schemaAt(path)));
}

function propertiesOf(schema: Tree): Readonly<Record<string, Tree>> {
  return (schema['properties'] ?? {}) as Record<string, Tree>;
}

function variableFor(path: string): string | undefined {
  return SETTINGS_FROM_ENVIRONMENT.find(([, known]) => known === path)?.[0];
}

/** Two listeners on one port, or a public address without access control. */
function listenProblems(tree: Tree): string[] {
  const [host, port, httpPort] = ['host', 'port', 'httpPort'].map((key) => valueAt(tree, `listen.${key}`));
  const problems: string[] = [];
  if (port === httpPort)
    problems.push(`listen.port and listen.httpPort are both ${String(port)}: use two different ports`);
  const access = valueAt(tree, 'access') as AccessSettings;
  return typeof host === 'string' ? [...problems, ...accessProblems(host, access)] : problems;
}
