import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { parse } from 'yaml';
import { parseRules, type ProposedRule } from '../comparison-rules.ts';
import { loadConfig, type Environment } from '../config.ts';
import type { Config } from '../config-schema.ts';
import { loadDefinitions } from '../definitions.ts';
import { ruleNameOf, type ComparisonRule } from '../domain/comparison.ts';
import { serviceName, type ServiceName } from '../domain/ids.ts';
import type { RuleStore } from '../migration/compare/comparison-stores.ts';
import { isExpired } from '../migration/compare/compiled-rules.ts';
import { tryRules, type TriedRules } from '../migration/compare/try-rules.ts';
import { applySchema } from '../storage/apply-schema.ts';
import { createPgliteDatabase, createPostgresDatabase, type Database } from '../storage/database.ts';
import { createDifferenceStore } from '../storage/differences.ts';
import { createRuleStore } from '../storage/rules.ts';
import { createSeal, PLAIN } from '../storage/seal.ts';

interface Options {
  readonly config: string;
  readonly service: string;
  readonly limit?: string;
  readonly json?: boolean;
  readonly by?: string;
}

/** What a subcommand works with. The embedded database is open in one process only: the proxy must be stopped. */
interface Workplace {
  readonly config: Config;
  readonly database: Database;
  readonly rules: RuleStore;
}

const SCHEMA = new URL('../storage/schema/', import.meta.url);
const DEFAULT_CONFIG = './config/crossfade.yaml';
const MOST_COMPARISONS = 10_000;

/** `crossfade rules`: what comparisons let differ. */
export function createRulesCommand(env: Environment): Command {
  const command = new Command('rules').description('Comparison rules: list, try, add and remove');
  withOptions(command.command('list'), 'List the rules of a service with their hits').action(
    (options: Options) => at(env, options, (place) => list(place, options)),
  );
  withOptions(command.command('try <file>'), 'Judge stored differences again under proposed rules')
    .option('--limit <number>', 'newest comparisons to judge', '1000')
    .action((file: string, options: Options) => at(env, options, (place) => tryFile(place, options, file)));
  withOptions(command.command('add <file>'), 'Put rules in force, on every replica within 5 s').action(
    (file: string, options: Options) => at(env, options, (place) => add(place, options, file)),
  );
  withOptions(command.command('remove <id>'), 'Take a rule that was added out of force')
    .requiredOption('--by <person>', 'who removes it')
    .action((id: string, options: Options) => at(env, options, (place) => remove(place, options, id)));
  return command;
}

function withOptions(command: Command, description: string): Command {
  return command
    .description(description)
    .requiredOption('--service <name>', 'service of the rules')
    .option('--config <file>', "the proxy's settings", DEFAULT_CONFIG)
    .option('--json', 'print JSON');
}

async function at(
  env: Environment,
  options: Options,
  work: (place: Workplace) => Promise<void>,
): Promise<void> {
  const config = loadConfig(options.config, env);
  if (!Object.hasOwn(config.services, options.service)) {
    throw new Error(`No service is called "${options.service}": ${Object.keys(config.services).join(', ')}`);
  }
  const { databaseUrl, folder } = config.journal;
  const database =
    databaseUrl === undefined
      ? createPgliteDatabase({ folder })
      : createPostgresDatabase({ url: databaseUrl });
  try {
    await applySchema(database, SCHEMA);
    await work({ config, database, rules: createRuleStore(database) });
  } finally {
    await database.close();
  }
}

/** The rules in force of every action that is compared. */
async function definedRules(
  config: Config,
  service: string,
): Promise<ReadonlyMap<string, readonly ComparisonRule[]>> {
  const found = (await loadDefinitions(config)).find(({ name }) => name === service);
  const actions = Object.entries(found?.definition.actions ?? {});
  return new Map(
    actions.flatMap(([name, action]): [string, readonly ComparisonRule[]][] =>
      action.kind === 'read' && action.legacyOnly === undefined ? [[name, action.rules]] : [],
    ),
  );
}

interface Listed {
  readonly id: number | null;
  readonly action: string;
  readonly rule: ComparisonRule;
  readonly expired: boolean;
  readonly hits: number;
}

async function list({ config, rules }: Workplace, { service, json }: Options): Promise<void> {
  const hits = new Map(
    (await rules.hits()).map((each) => [`${each.service} ${each.action} ${each.rule}`, each.hits]),
  );
  const nowIso = new Date().toISOString();
  const listed = (action: string, rule: ComparisonRule, id: number | null): Listed => ({
    id,
    action,
    rule,
    expired: isExpired(rule, nowIso),
    hits: hits.get(`${service} ${action} ${ruleNameOf(rule)}`) ?? 0,
  });
  const defined = [...(await definedRules(config, service))].flatMap(([action, each]) =>
    each.map((rule) => listed(action, rule, null)),
  );
  const added = (await rules.rules()).filter((each) => each.service === service);
  const all = [...defined, ...added.map(({ action, rule, id }) => listed(action, rule, id))];
  if (json === true) return print(all);
  for (const each of all) {
    const { owner, reason, expires } = each.rule;
    const end = each.expired ? `EXPIRED ${expires ?? ''}: off` : (expires ?? 'for ever');
    const id = each.id === null ? 'definition' : String(each.id);
    process.stdout.write(
      `${id}  ${each.action}  ${ruleNameOf(each.rule)}  hits ${each.hits}  ${end}  ${owner}: ${reason}\n`,
    );
  }
}

async function tryFile(
  { config, database, rules }: Workplace,
  options: Options,
  file: string,
): Promise<void> {
  const service = serviceName(options.service);
  const limit = Number(options.limit);
  if (!Number.isInteger(limit) || limit < 1 || limit > MOST_COMPARISONS)
    throw new Error(
      `--limit must be a whole number from 1 to ${MOST_COMPARISONS}, got "${options.limit ?? ''}"`,
    );
  const { encryptionKey } = config.journal;
  const seal = encryptionKey === undefined ? PLAIN : createSeal(Buffer.from(encryptionKey, 'base64'));
  const stored = await createDifferenceStore({ database, seal }).withSamples(service, limit);
  const proposed = await readRules(file, config, service);
  const defined = await definedRules(config, service);
  const added = await rules.rules();
  for (const action of new Set(proposed.map((each) => each.action))) {
    const inForce = [
      ...(defined.get(action) ?? []),
      ...added.filter((each) => each.service === service && each.action === action).map(({ rule }) => rule),
    ];
    const tried = tryRules(
      stored.filter((difference) => difference.action === action),
      { inForce, proposed: proposed.filter((each) => each.action === action).map(({ rule }) => rule) },
    );
    if (options.json === true) print({ action, ...tried });
    else printTried(action, tried);
  }
}

function printTried(action: string, tried: TriedRules): void {
  const { comparisons, fromSamples, wouldMatch, stillMismatch, undecided, signatures } = tried;
  process.stdout.write(
    `${action}: of ${comparisons} stored mismatches ${wouldMatch} would match, ${stillMismatch} would not, ` +
      `${undecided} cannot be told from what is stored (${fromSamples} judged from their texts)\n`,
  );
  for (const { class: kind, path, shape, hint, accepted, counts, unknown } of signatures) {
    process.stdout.write(
      `  ${kind} ${path} (${shape}${hint === undefined ? '' : `, ${hint}`}): ` +
        `${accepted} accepted, ${counts} count, ${unknown} unknown\n`,
    );
  }
}

async function add({ config, rules }: Workplace, options: Options, file: string): Promise<void> {
  const service = serviceName(options.service);
  const ids: number[] = [];
  for (const { action, rule } of await readRules(file, config, service))
    ids.push(await rules.add({ service, action, rule }));
  if (options.json === true) print({ added: ids });
  else process.stdout.write(`In force within 5 s: ${ids.join(', ')}\n`);
}

async function remove({ rules }: Workplace, { by = '', json }: Options, id: string): Promise<void> {
  const isRemoved = await rules.remove(Number(id), by);
  if (!isRemoved) throw new Error(`No rule that was added has the number ${id}`);
  if (json === true) print({ removed: Number(id) });
  else process.stdout.write(`Rule ${id} is out of force within 5 s\n`);
}

/** @throws Error where the file holds no rules, or an action that is not compared */
async function readRules(
  file: string,
  config: Config,
  service: ServiceName,
): Promise<readonly ProposedRule[]> {
  const proposed = parseRules(parse(readFileSync(file, 'utf8')));
  const known = await definedRules(config, service);
  const stranger = proposed.find(({ action }) => !known.has(action));
  if (stranger === undefined) return proposed;
  throw new Error(`${service} compares no action "${stranger.action}": ${[...known.keys()].join(', ')}`);
}

function print(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}
