import { Command, InvalidArgumentError } from 'commander';
import { parse } from 'yaml';
import { ruleNameOf } from '../domain/comparison.ts';
import { messageOf } from '../domain/errors.ts';
import { hintWords } from '../operator/hint-words.ts';
import type { ListedRule, TriedAction } from '../operator/routes/rule-routes.ts';
import { readAskedFile } from './asked-file.ts';
import { askPatiently, askProxy, type Environment } from './operator-client.ts';
import { personOptions, proxyOptions, type PersonOptions, type ProxyOptions } from './proxy-options.ts';
import { table } from './tables.ts';

interface LookOptions extends ProxyOptions {
  readonly service: string;
}

interface TryOptions extends LookOptions {
  readonly limit: number;
}

interface AddOptions extends PersonOptions {
  readonly service: string;
}

interface RemoveOptions extends PersonOptions {
  readonly service?: string;
}

const MOST_TRIED = 1_000;

const FILE = `
A file of rules is a YAML or JSON list. Each names its action, path (members joined by dots, [] for any element), owner, reason and
the day from which on it is off, and is one of: ignore, set, prefix, equal_if_missing, default (value), tolerance (within), tolerance_seconds (seconds),
keyed (key), ranking (key, text, query, floors):

  - action: get_memories
    kind: ignore
    path: memories[].memory.note
    owner: ann
    reason: notes are made anew by every reader
    expires: 2027-01-31

A rule that ignores what may be a whole list of items (memories, memories[], data) is refused unless it says hidesList: true.

Exit codes: 0 success, 1 error (reason on stderr).`;

/** `crossfade rules`: what comparisons let differ. */
export function createRulesCommand(env: Environment): Command {
  const command = new Command('rules')
    .description('Comparison rules: list, try, add and remove')
    .addHelpText('afterAll', FILE);
  const looking = (name: string, description: string): Command =>
    proxyOptions(
      command
        .command(name)
        .description(description)
        .requiredOption('--service <name>', 'service of the rules'),
      env,
    );
  looking('list', 'The rules of a service, with what they accepted').action(list);
  looking('try <file>', 'Judge stored differences again under the rules of a file; changes nothing')
    .option('--limit <n>', `newest differences to judge, up to ${MOST_TRIED}`, parseLimit, 500)
    .action(tryFile);
  personOptions(
    command
      .command('add <file>')
      .description(
        'Put the rules of a file in force, on every replica within 5 s; evidence of their actions begins anew',
      ),
    env,
  )
    .option('--service <name>', 'service of the rules (required)')
    .action(add);
  personOptions(
    command
      .command('remove <id>')
      .description('Take a rule that was added out of force')
      .option('--service <name>', 'refuse where the rule is of another service'),
    env,
  ).action(remove);
  return command;
}

async function list({ service, json, ...at }: LookOptions): Promise<void> {
  const text = await askProxy(at, `/v1/rules?service=${encodeURIComponent(service)}`);
  if (json === true) return console.log(text);
  const { rules } = JSON.parse(text) as { rules: readonly ListedRule[] };
  if (rules.length === 0) return console.log(`no rules: whatever differs in ${service} counts`);
  const rows = rules.map(({ id, action, rule, expired, hits }) => [
    id === null ? 'definition' : String(id),
    action,
    ruleNameOf(rule),
    String(hits),
    expired ? `EXPIRED ${rule.expires ?? ''}: off` : (rule.expires ?? 'for ever'),
    rule.owner,
    rule.reason,
  ]);
  console.log(table(['id', 'action', 'rule', 'accepted', 'until', 'owner', 'reason'], rows));
}

async function tryFile(file: string, { service, limit, json, ...at }: TryOptions): Promise<void> {
  const text = await askPatiently(at, '/v1/rules/try', { service, limit, rules: rulesIn(file) });
  if (json === true) return console.log(text);
  const { actions } = JSON.parse(text) as { actions: readonly TriedAction[] };
  for (const tried of actions) console.log(told(tried));
}

function told({ action, signatures, ...tried }: TriedAction): string {
  const { comparisons, undecided, not_comparable: left } = tried;
  const notJudged =
    tried.not_judged === 0
      ? []
      : [
          `  ${tried.not_judged} more cannot be judged again: whole lanes, to which no rule applies, or stored by an earlier version`,
        ];
  if (comparisons === 0) return [`${action}: no pair of answers is stored`, ...notJudged].join('\n');
  const lines = signatures.map(({ class: kind, path, shape, hint, accepted, counts, explained, unknown }) => {
    const cause = hint === undefined ? '' : `, looks like: ${hintWords(hint)}`;
    const apart = explained === 0 ? '' : `, ${explained} explained`;
    return `  ${kind} ${path} (${shape}${cause}): ${accepted} accepted, ${counts} count${apart}, ${unknown} unknown`;
  });
  return [
    `${action}: of ${comparisons} stored mismatches ${tried.would_match} would match, ${tried.still_mismatch} would not, ` +
      `${left === 0 ? '' : `${left} would not be comparable, `}${undecided} cannot be told from what is stored ` +
      `(${tried.from_samples} judged from their texts)`,
    ...notJudged,
    ...lines,
  ].join('\n');
}

async function add(file: string, options: AddOptions): Promise<void> {
  const { service, person, reason, json, ...at } = options;
  const text = await askProxy(at, '/v1/rules', { service, person, reason, rules: rulesIn(file) });
  const { added } = JSON.parse(text) as { added: readonly number[] };
  console.log(json === true ? text : `in force within 5 s, as number ${added.join(', ')}`);
}

async function remove(id: string, { service, person, reason, json, ...at }: RemoveOptions): Promise<void> {
  const text = await askProxy(at, `/v1/rules/${encodeURIComponent(id)}/remove`, { service, person, reason });
  console.log(json === true ? text : `rule ${id} is out of force within 5 s`);
}

/** What is wrong with a rule the proxy says. @throws Error where the file cannot be read, or holds no list */
function rulesIn(file: string): readonly unknown[] {
  const rules = parsed(file);
  if (!Array.isArray(rules)) throw new Error(`${file} holds no list of rules: see rules --help`);
  return rules;
}

function parsed(file: string): unknown {
  const text = readAskedFile(file, 'what it holds is shown by crossfade rules --help');
  try {
    return parse(text);
  } catch (cause) {
    throw new Error(`${file} is no YAML: ${messageOf(cause)}`, { cause });
  }
}

function parseLimit(text: string): number {
  const limit = Number(text);
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MOST_TRIED)
    throw new InvalidArgumentError(`must be a whole number from 1 to ${MOST_TRIED}, got "${text}"`);
  return limit;
}
