import { Command } from 'commander';
import { stringify } from 'yaml';
import type { ExplainedOperation, Explanation } from '../operator/api/explain.ts';
import { callProxy, parsed, type Environment } from './operator-client.ts';
import { proxyOptions, type ProxyOptions, SERVICE_ARGUMENT } from './proxy-options.ts';
import { type Explained, explainedSections } from '../operator/views/explain.ts';
import { counted } from '../operator/views/figures.ts';
import { heldMark } from '../operator/views/guard.ts';
import { sectionsText } from '../operator/views/terminal.ts';

const HELP = `
Prints a summary: where reads and writes go and why, the last writes, the last differences. --full prints every fact as YAML.
With an owner it prints the ids of its writes; dead-letters, unknown-outcomes, reverse and differences print ids too. With the id of a
write it prints each step with its time. For a lane it also prints each flip, failed flips with their reason and their next attempt,
holds, and each return to legacy. Steps are kept for a day after the delivery; dead letters and unknown outcomes for 90 days.
Exit codes: 0 success; 1 error (reason on stderr), or the owner is unknown.`;

const SIGNIFICANT_DIGITS = 4;
const NOT_KNOWN = 1;

interface ExplainOptions extends ProxyOptions {
  readonly full?: true;
}

/** `crossfade explain`: how an owner's requests are routed and why, and the result of an operation on both backends. */
export function createExplainCommand(env: Environment): Command {
  const command = new Command('explain')
    .argument(...SERVICE_ARGUMENT)
    .argument('<subject>', 'an owner, or the id of an operation')
    .description('Explain where the requests of an owner go and why, or what happened to one operation')
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
type Summary = Explained &
  Pick<Explanation, 'service' | 'owner' | 'operation'> & {
    readonly inputs: Pick<Explanation['inputs'], 'fence'> & {
      readonly lane: string | Pick<ExplainedLane, 'condition' | 'reason' | 'sequence'>;
      readonly guard: Pick<Explanation['inputs']['guard'], 'held_by'>;
    };
  };

type ExplainedLane = Exclude<Explanation['inputs']['lane'], string>;

/** An owner without a lane row, a write or a difference. */
export function isUnknownOwner({ inputs, writes, differences, operation }: Summary): boolean {
  const isEmpty = writes.length === 0 && differences.length === 0 && operation === undefined;
  return typeof inputs.lane === 'string' && isEmpty;
}

/** A summary of one screen: how requests are routed and why, and what is stored. */
export function toldExplanation(explanation: Summary): string {
  const { service, owner, operation, writes, differences } = explanation;
  return [
    `${service}, owner: ${owner}`,
    ...laneLines(explanation),
    ...(operation === undefined ? [] : ['', ...operationLines(operation)]),
    '',
    sectionsText(explainedSections({ ...explanation, writes: writes.slice(0, WRITES_SHOWN) })),
    ...(differences.length === 0 ? [] : [`  grouped by cause: crossfade differences ${service}`]),
    '',
    'All facts: --full (YAML) or --json',
  ].join('\n');
}

function laneLines({ inputs: { lane, fence, guard } }: Summary): string[] {
  const state =
    typeof lane === 'string'
      ? lane
      : `${lane.condition}${lane.reason === '' ? '' : ` (${lane.reason})`}, ${counted(lane.sequence, 'write')}`;
  // Neither a trip nor the kill switch moves a flipped lane.
  const isHeld = guard.held_by !== null && fence !== 'flipped';
  const held = isHeld ? [`  ▲ ${heldMark(guard.held_by).mark}`] : [];
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
