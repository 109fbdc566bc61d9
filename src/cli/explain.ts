import { Command } from 'commander';
import { stringify } from 'yaml';
import type { ExplainedDecision, ExplainedOperation, Explanation } from '../operator/api/explain.ts';
import { callProxy, parsed, type Environment } from './operator-client.ts';
import { proxyOptions, type ProxyOptions } from './proxy-options.ts';
import { table } from '../operator/views/terminal.ts';

const HELP = `
Prints a summary: where reads and writes go and why, the last writes, the last differences. --full prints every fact as YAML.
Ids of operations are printed by explain for an owner (writes), dead-letters, unknown-outcomes and differences. The timeline of a
write gives each step with its time. It is kept for a day after the delivery; dead letters and unknown outcomes for 90 days.
Exit codes: 0 success; 1 error (reason on stderr), or the owner is unknown.`;

const SIGNIFICANT_DIGITS = 4;
const NOT_KNOWN = 1;

interface ExplainOptions extends ProxyOptions {
  readonly full?: true;
}

/** `crossfade explain`: how an owner's requests are routed and why, and the result of an operation on both backends. */
export function createExplainCommand(env: Environment): Command {
  const command = new Command('explain')
    .argument('<service>', 'service name, as in crossfade status')
    .argument('<subject>', 'an owner, or the id of an operation')
    .description('Explain how the requests of an owner are routed, or what happened to an operation')
    .option('--full', 'print every fact, as YAML')
    .addHelpText('after', HELP);
  return proxyOptions(command, env, 'print every fact, as JSON').action(explain);
}

async function explain(
  service: string,
  subject: string,
  { json, full, ...at }: ExplainOptions,
): Promise<void> {
  const text = await callProxy(at, 'explain', { params: { service, subject } });
  const explanation = parsed(text);
  if (json === true) console.log(text);
  else if (full === true) console.log(stringify(rounded(explanation)));
  if (isUnknownOwner(explanation)) {
    console.error(
      `crossfade: unknown owner ${service}/${subject}: it was never written through the proxy and never copied. List the known owners with: crossfade lanes list ${service}`,
    );
    process.exitCode = NOT_KNOWN;
  } else if (json !== true && full !== true) console.log(toldExplanation(explanation));
}

/** Rounds fractions to four digits, because more are not significant. */
function rounded(value: unknown): unknown {
  if (typeof value === 'number')
    return Number.isInteger(value) ? value : Number(value.toPrecision(SIGNIFICANT_DIGITS));
  if (Array.isArray(value)) return value.map(rounded);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, rounded(member)]));
}

const WRITES_SHOWN = 5;

/** The members that the summary shows. */
type Summary = Pick<Explanation, 'service' | 'owner' | 'operation' | 'decisions'> & {
  readonly inputs: Pick<Explanation['inputs'], 'fence'> & {
    readonly lane: string | Pick<ExplainedLane, 'condition' | 'reason' | 'sequence'>;
    readonly guard: Pick<Explanation['inputs']['guard'], 'held_by'>;
  };
  readonly writes: readonly Pick<
    Explanation['writes'][number],
    'operation_id' | 'action' | 'accepted_at' | 'outcome' | 'standing'
  >[];
  readonly differences: readonly Pick<Explanation['differences'][number], 'at' | 'operation_id' | 'action'>[];
};

type ExplainedLane = Exclude<Explanation['inputs']['lane'], string>;

/** An owner without a lane row, a write or a difference. */
export function isUnknownOwner({ inputs, writes, differences, operation }: Summary): boolean {
  const isEmpty = writes.length === 0 && differences.length === 0 && operation === undefined;
  return typeof inputs.lane === 'string' && isEmpty;
}

/** A summary of one screen: how requests are routed and why, and what is stored. */
export function toldExplanation(explanation: Summary): string {
  const { service, owner, operation, decisions, writes, differences } = explanation;
  return [
    `${service}, owner: ${owner}`,
    ...laneLines(explanation),
    ...(operation === undefined ? [] : ['', ...operationLines(operation)]),
    '',
    ...decisionLines(decisions),
    ...(writes.length === 0 ? [] : ['', ...writeLines(writes)]),
    ...(differences.length === 0 ? [] : ['', ...differenceLines(service, differences)]),
    '',
    'All facts: --full (YAML) or --json',
  ].join('\n');
}

function laneLines({ inputs: { lane, fence, guard } }: Summary): string[] {
  const state =
    typeof lane === 'string'
      ? lane
      : `${lane.condition}${lane.reason === '' ? '' : ` (${lane.reason})`}, ${lane.sequence} writes`;
  const held = guard.held_by === null ? [] : [`  guard: READS HELD ON LEGACY by ${guard.held_by}`];
  return [`  lane: ${state}; fence: ${fence}`, ...held];
}

function operationLines({
  id,
  action,
  sequence,
  legacy,
  timeline,
  orchestrator,
}: ExplainedOperation): string[] {
  const { standing, item } = orchestrator;
  return [
    `operation ${id}: ${action}, write ${sequence} of the lane`,
    `  legacy: ${legacy}; orchestrator: ${standing}${typeof item === 'string' ? ` (${item})` : ''}`,
    ...timeline.map(({ at, where, what }) => `  ${at}  ${where}: ${what}`),
  ];
}

function decisionLines(decisions: Explanation['decisions']): string[] {
  const rows = Object.entries(decisions).map(([action, decided]) => {
    const { primary, reason, dual_write: dual, shadow_read: shadow, shadow_reason: why, limit } = decided;
    const extra = why === undefined ? `dual write: ${yes(dual)}` : `shadow read: ${yes(shadow)} (${why})`;
    return [`  ${action}`, primary, `reason: ${reason}`, extra, limitWords(limit)];
  });
  return table(['  action', 'answered by', 'why', 'second backend', 'blocked by'], rows).split('\n');
}

function limitWords(limit: ExplainedDecision['limit']): string {
  if (limit === undefined || limit.lowered_by === null || limit.at_most === 100) return '';
  const because = limit.because.length === 0 ? '' : `: ${limit.because.join(', ')}`;
  return `${limit.lowered_by}, at most ${limit.at_most} %${because}`;
}

function writeLines(writes: Summary['writes']): string[] {
  const rows = writes
    .slice(0, WRITES_SHOWN)
    .map(({ accepted_at: at, action, outcome, standing, operation_id: id }) => [
      `  ${at}`,
      action,
      outcome ?? 'not known yet',
      standing,
      id,
    ]);
  const heads = ['  last writes', 'action', 'legacy', 'orchestrator', 'operation'];
  return table(heads, rows).split('\n');
}

function differenceLines(service: string, differences: Summary['differences']): string[] {
  const rows = differences.map(({ at, action, operation_id: id }) => [`  ${at}`, action, id]);
  return [
    ...table(['  last differences', 'action', 'operation'], rows).split('\n'),
    `  grouped by cause: crossfade differences ${service}`,
  ];
}

const yes = (is: boolean): string => (is ? 'yes' : 'no');
