import { Command, InvalidArgumentError } from 'commander';
import { parse } from 'yaml';
import { messageOf } from '../domain/errors.ts';
import { hintWords } from '../operator/words.ts';
import { MOST_TRIED } from '../operator/api/endpoint.ts';
import type { TriedAction } from '../operator/api/rules.ts';
import { readAskedFile } from './asked-file.ts';
import { callPatiently, callProxy, parsed, type Environment } from './operator-client.ts';
import { personOptions, proxyOptions, type PersonOptions, type ProxyOptions } from './proxy-options.ts';
import { rulesTable } from '../operator/views/differences.ts';
import { tableText } from '../operator/views/terminal.ts';

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

const FILE = `
A rules file is a YAML or JSON list. Each rule has an action, a kind, a path (members joined by dots, [] for any element), an owner, a
reason and the day on which it expires. Kinds, with their parameters: ignore, set, prefix, equal_if_missing, default (value),
tolerance (within), tolerance_seconds (seconds), keyed (key), ranking (key, text, query, floors):

  - action: get_memories
    kind: ignore
    path: memories[].memory.note
    owner: ann
    reason: notes are generated on every read
    expires: 2027-01-31

A rule that ignores a path which may be a whole list of items (memories, memories[], data) is refused without hidesList: true.

Exit codes: 0 success, 1 error (reason on stderr).`;

/** `crossfade rules`: the differences that comparisons allow. */
export function createRulesCommand(env: Environment): Command {
  const command = new Command('rules')
    .description('List, try, add and remove comparison rules, which define allowed differences')
    .addHelpText('afterAll', FILE);
  const looking = (name: string, description: string): Command =>
    proxyOptions(
      command
        .command(name)
        .description(description)
        .requiredOption('--service <name>', 'service whose rules are used (required)'),
      env,
    );
  looking('list', 'List the rules of a service, with the number of differences that each accepted').action(
    list,
  );
  looking('try <file>', 'Compare stored mismatches again with the rules of a file; changes nothing')
    .option(
      '--limit <n>',
      `maximum number of stored mismatches, newest first, 1 to ${MOST_TRIED}`,
      parseLimit,
      500,
    )
    .action(tryFile);
  personOptions(
    command
      .command('add <file>')
      .description(
        'Activate the rules of a file on every replica within 5 s. The evidence of their actions starts again',
      ),
    env,
  )
    .option('--service <name>', 'service whose rules are added (required)')
    .action(add);
  personOptions(
    command
      .command('remove <id>')
      .description('Deactivate an added rule on every replica within 5 s')
      .option('--service <name>', 'refuse if the rule belongs to another service'),
    env,
  ).action(remove);
  return command;
}

async function list({ service, json, ...at }: LookOptions): Promise<void> {
  const text = await callProxy(at, 'listRules', { query: { service } });
  if (json === true) return console.log(text);
  const { rules } = parsed(text);
  console.log(tableText(rulesTable(rules.map(({ rule, ...listed }) => ({ ...rule, ...listed })))));
}

async function tryFile(file: string, { service, limit, json, ...at }: TryOptions): Promise<void> {
  const text = await callPatiently(at, 'tryRules', {
    body: { service, limit, rules: rulesIn(file) },
  });
  if (json === true) return console.log(text);
  const { actions } = parsed(text);
  for (const tried of actions) console.log(told(tried));
}

function told({ action, signatures, ...tried }: TriedAction): string {
  const { comparisons, undecided, not_comparable: left } = tried;
  const notJudged =
    tried.not_judged === 0
      ? []
      : [
          `  ${tried.not_judged} more cannot be compared again: they are whole lanes, to which no rule applies, or were stored by an earlier version`,
        ];
  if (comparisons === 0) return [`${action}: no stored pair of answers`, ...notJudged].join('\n');
  const lines = signatures.map(({ class: kind, path, shape, hint, accepted, counts, explained, unknown }) => {
    const cause = hint === undefined ? '' : `, looks like: ${hintWords(hint)}`;
    const apart = explained === 0 ? '' : `, ${explained} explained`;
    return `  ${kind} ${path} (${shape}${cause}): ${accepted} accepted, ${counts} count${apart}, ${unknown} unknown`;
  });
  return [
    `${action}: of ${comparisons} stored mismatches ${tried.would_match} would match, ${tried.still_mismatch} would not, ` +
      `${left === 0 ? '' : `${left} would not be comparable, `}${undecided} cannot be decided from the stored data ` +
      `(${tried.from_samples} compared by their texts)`,
    ...notJudged,
    ...lines,
  ].join('\n');
}

async function add(file: string, options: AddOptions): Promise<void> {
  const { service, person, reason, json, ...at } = options;
  const text = await callProxy(at, 'addRules', {
    body: { service, person, reason, rules: rulesIn(file) },
  });
  const { added } = parsed(text);
  console.log(
    json === true
      ? text
      : `added as ${added.length === 1 ? 'rule' : 'rules'} ${added.join(', ')}, active within 5 s`,
  );
}

async function remove(id: string, { service, person, reason, json, ...at }: RemoveOptions): Promise<void> {
  const text = await callProxy(at, 'removeRule', {
    params: { rule: id },
    body: { service, person, reason },
  });
  console.log(json === true ? text : `removed rule ${id}, inactive within 5 s`);
}

/** The proxy checks the rules themselves. @throws Error if the file cannot be read, or is not a list */
function rulesIn(file: string): readonly unknown[] {
  const rules = yamlOf(file);
  if (!Array.isArray(rules)) throw new Error(`${file} is not a list of rules: see crossfade rules --help`);
  return rules;
}

function yamlOf(file: string): unknown {
  const text = readAskedFile({ option: '<file>', path: file }, 'crossfade rules --help describes the file');
  try {
    return parse(text);
  } catch (cause) {
    throw new Error(`${file} is not valid YAML: ${messageOf(cause)}`, { cause });
  }
}

function parseLimit(text: string): number {
  const limit = Number(text);
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MOST_TRIED)
    throw new InvalidArgumentError(`must be a whole number from 1 to ${MOST_TRIED}, got "${text}"`);
  return limit;
}
