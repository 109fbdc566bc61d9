import type { ToldInterlock } from '../operator/api/guard.ts';
import type { Status } from '../operator/api/status.ts';
import { Command } from 'commander';
import { openBesideLag } from '../operator/status.ts';
import { ownInterlocks } from '../operator/told-interlocks.ts';
import { stageReason } from '../operator/flag-reasons.ts';
import { flagsInUse, noProofWords } from '../operator/words.ts';
import { allAbLines } from './ab-lines.ts';
import { findingLines } from './guard-status.ts';
import type { ServiceStatus } from '../operator/api/status.ts';
import { callProxy, parsed, type Environment } from './operator-client.ts';
import { proxyOptions, type ProxyOptions } from './proxy-options.ts';
import { counted, printedFigure } from '../operator/views/figures.ts';

/** Prefix of the reasons that concern comparisons of whole lanes. */
const WHOLE_LANE = 'whole_lane ';

/** `crossfade status`: what each flag requests, what is active, and what blocks the rest. */
export function createStatusCommand(env: Environment): Command {
  const command = new Command('status')
    .description('Show requested and active percentages, and what blocks the rest')
    .addHelpText(
      'after',
      '\nExit codes: 0 success, 1 error (reason on stderr). For a CI gate use crossfade report --check.',
    );
  return proxyOptions(command, env, 'print all facts, as JSON').action(
    async ({ json, ...at }: ProxyOptions) => {
      const text = await callProxy(at, 'showStatus', {});
      console.log(json === true ? text : toldAll(parsed(text)));
    },
  );
}

export function toldAll({ proxy: { flags }, readiness, services, spill }: Status): string {
  const isStale = !flags.fresh;
  const stale = `FLAGS ARE STALE (${flags.source}): ${flags.last_error ?? 'not read yet'}\n${flagsInUse(flags)}`;
  const spilled = spill?.spilling === true ? [spillLine(spill)] : [];
  const troubles = readinessLines(readiness);
  return [...spilled, ...(isStale ? [stale] : []), ...troubles, ...services.map(told)].join('\n\n');
}

/** Parts that other lines already cover. */
const TOLD_ELSEWHERE: ReadonlySet<string> = new Set(['journal', 'lanes', 'migration']);

function readinessLines(readiness: Status['readiness']): string[] {
  return Object.entries(readiness).flatMap(([part, { ok, reason }]) => {
    if (ok && (reason === undefined || TOLD_ELSEWHERE.has(part) || reason.startsWith('stale'))) return [];
    return [`${ok ? '' : 'NOT READY: '}${part}: ${reason ?? 'no reason given'}`];
  });
}

function spillLine({ seconds, writes, bytes, limit_bytes: limit }: NonNullable<Status['spill']>): string {
  return `THE JOURNAL IS AWAY for ${seconds} s: ${counted(writes, 'write is', 'writes are')} spilled (${bytes} of ${limit} bytes); reads are answered by legacy`;
}

function lanesLine(service: ServiceStatus): string {
  const {
    lanes,
    lag,
    pending,
    dead_letters: deadLetters,
    unknown_outcomes: unknown,
    lost_items: lost,
  } = service;
  if (lanes === null || lag === null) return '  lanes: unknown while the journal is away';
  const decide = unknown.readable ? '' : ' that a person must decide';
  return [
    `  ${counted(lanes.total, 'lane')}, ${lanes.seeded} seeded, ${lanes.dirty} dirty, ${lanes.stopped} stopped; ${counted(pending, 'delivery waits', 'deliveries wait')}`,
    `  lag: ${lagWords(lag, openBesideLag(service))}`,
    ...unwellLine(service.service, lanes),
    `  ${counted(deadLetters ?? 0, 'dead letter')}, ${counted(unknown.open ?? 0, 'unknown outcome')}${decide}, ${counted(lost ?? 0, 'lost item')}`,
  ].join('\n');
}

/** Lanes whose reads may stay on legacy until a person acts. */
function unwellLine(
  service: string,
  { differs, excepted, stopped }: NonNullable<ServiceStatus['lanes']>,
): string[] {
  const unwell = [
    ...(differs > 0 ? [counted(differs, 'lane differs', 'lanes differ')] : []),
    ...(excepted > 0 ? [`${counted(excepted, 'lane')} with items that the orchestrator refused`] : []),
    ...(stopped > 0 ? [counted(stopped, 'stopped lane')] : []),
  ];
  return unwell.length === 0 ? [] : [`  ${unwell.join(', ')}: crossfade lanes list ${service} --unwell`];
}

function lagWords(
  { writes, lanes, oldest_seconds: oldest }: NonNullable<ServiceStatus['lag']>,
  open: string | undefined,
): string {
  if (oldest === null && open !== undefined) return `no applied write waits, but these are open: ${open}`;
  if (oldest === null) return 'none, the orchestrator has every applied write';
  return `the orchestrator lacks ${counted(writes, 'write')} of ${counted(lanes, 'lane')}, the oldest for ${oldest} s`;
}

/** The counts of this proxy since its start. */
function seenLine(service: ServiceStatus): string {
  const { comparisons, reads_by: reads, latency_ms: latency } = service;
  const { match, mismatch, not_comparable: incomparable } = comparisons;
  const [reasons, dropped] = [byWord(service.fallbacks), byWord(service.shadow_dropped)];
  const obstacles = noProofWords(service.no_proof_by);
  const apart = Object.values(service.no_proof_by).reduce((sum, times) => sum + times, 0);
  return [
    `  ${counted(match + mismatch + incomparable, 'comparison')}, ${counted(mismatch, 'mismatch', 'mismatches')}, ${counted(service.proofs, 'proof')}`,
    ...(obstacles.length === 0 ? [] : [`  ${counted(apart, 'read')} gave no proof: ${obstacles.join(', ')}`]),
    `  reads: ${answered(reads.legacy, 'legacy', latency.legacy)}, ${answered(reads.orchestrator, 'the orchestrator', latency.orchestrator)}`,
    ...wholeLanesLine(service),
    ...unmappedLine(service),
    ...(reasons.length === 0 ? [] : [`  fallbacks: ${reasons.join(', ')}`]),
    ...(dropped.length === 0 ? [] : [`  shadow reads dropped: ${dropped.join(', ')}`]),
  ].join('\n');
}

function unmappedLine({ unmapped_writes: unmapped }: ServiceStatus): string[] {
  const writes = Object.values(unmapped).reduce((sum, times) => sum + times, 0);
  return writes === 0
    ? []
    : [
        `  ${counted(writes, 'write')} only on legacy since the start, because no lane can hold the owner (empty, too long, or with control characters)`,
      ];
}

function wholeLanesLine(service: ServiceStatus): string[] {
  const { lane_comparisons: seen, lane_percentage: share, not_comparable_by: obstacles } = service;
  const { match, mismatch, not_comparable: incomparable } = seen;
  if (share === 0) return ['  whole lanes are not compared: shadow.lanePercentage is 0'];
  if (match + mismatch + incomparable === 0) return [];
  const reasons = Object.entries(obstacles).flatMap(([reason, times]) =>
    reason.startsWith(WHOLE_LANE) ? [`${times} ${reason.slice(WHOLE_LANE.length)}`] : [],
  );
  const why = reasons.length === 0 ? '' : `: ${reasons.join(', ')}`;
  return [
    `  ${counted(match + mismatch, 'whole lane')} compared, ${mismatch} differ, ${incomparable} not comparable${why} (${share} % of the reads with side effects on legacy)`,
  ];
}

/** Without reads there is no latency to show. */
function answered(reads: number, by: string, { p99 }: ServiceStatus['latency_ms']['legacy']): string {
  return reads === 0 ? `0 by ${by}` : `${reads} by ${by} (p99 ${shownMs(p99)})`;
}

const byWord = (words: Readonly<Record<string, number>>): string[] =>
  Object.entries(words).map(([word, count]) => `${count} ${word}`);

const shownMs = (value: number | null): string => printedFigure({ value, unit: 'ms' });

function told(service: ServiceStatus): string {
  const { guard } = service;
  const title = `${service.service}  stage ${service.stage}, interlocks ${service.interlocks}`;
  const held = guard?.held_by ?? null;
  return [
    held === null ? title : `${title}, READS HELD ON LEGACY by ${held}`,
    ...requestedStageLine(service),
    ...flagsOffLine(service),
    ...releaseLine(service),
    ...findingLines(guard?.findings ?? []),
    lanesLine(service),
    seenLine(service),
    ...Object.entries(service.flags).flatMap(([flag, status]) => [
      line(flag, status, reasonOf(status)),
      ...interlockLines(status.interlocks),
    ]),
    ...Object.entries(service.actions ?? {}).flatMap(([action, status]) => [
      line(`read-cutover of ${action}`, status, evidenceOf(status)),
      ...interlockLines(ownInterlocks(status.interlocks, service.flags['read-cutover'].interlocks)),
    ]),
    ...allAbLines(service.ab),
  ].join('\n');
}

function requestedStageLine({ stage, requested_stage: requested, flags }: ServiceStatus): string[] {
  return stage === requested ? [] : [`  requested stage ${requested} (${stageReason(flags)})`];
}

function flagsOffLine(service: ServiceStatus): string[] {
  const off = service.guard?.flags_off;
  if (off === undefined) return [];
  if (off.state === 'not_configured')
    return [`  the flag still requests ${service.flags['read-cutover'].asked} %; the latch overrides it`];
  if (off.state === 'off')
    return [
      `  switched off in Unleash: ${off.flags?.join(', ') || 'nothing, because every flag was at 0 %'}`,
    ];
  return [
    `  not yet switched off in Unleash, ${counted(off.tries ?? 0, 'attempt')} failed: ${off.last_error ?? ''}`,
  ];
}

function releaseLine({ service, guard }: ServiceStatus): string[] {
  if (guard?.latch === undefined) return [];
  const { cool_down_until: until } = guard.latch;
  return [
    `  Can be released after ${until} with: crossfade guard release ${service} --person NAME --reason TEXT`,
  ];
}

interface Share {
  readonly asked: number;
  readonly in_effect: number;
}

function line(name: string, { asked, in_effect: inEffect }: Share, more: string): string {
  return `  ${name.padEnd(40)} requested ${String(asked).padStart(3)} %  active ${String(inEffect).padStart(3)} %  ${more}`;
}

function reasonOf(status: ServiceStatus['flags']['read-cutover']): string {
  const { reason, held_actions: held = [], dropped_for: triggers = [] } = status;
  if (triggers.length > 0) return `${reason} because of ${triggers.join(', ')}`;
  return held.length === 0 ? reason : `${reason}; lower for ${held.join(', ')}`;
}

/** Each interlock's message, then each advice once, because several interlocks may share it. */
function interlockLines(interlocks: readonly ToldInterlock[] = []): string[] {
  const advice = interlocks.map(
    ({ next, command }) => `        ${next}${command === null ? '' : ` ${command}`}`,
  );
  return [...interlocks.map(({ word, says }) => `      ${word}  ${says}`), ...new Set(advice)];
}

const shown = (value: number): string => String(Number(value.toPrecision(3)));

function evidenceOf(status: NonNullable<ServiceStatus['actions']>[string]): string {
  const { comparable, mismatches, whole_lanes: lanes } = status;
  const { comparisons_missing: missing, days_missing: days } = status;
  const [lower, upper] = status.mismatch_interval;
  const ofLanes = lanes === 0 ? '' : ` (including ${counted(lanes, 'whole lane')})`;
  const seen = `${mismatches} of ${comparable}${ofLanes} differ (95 %: ${percent(lower)} to ${percent(upper)})`;
  if (missing === 0) return seen;
  const time =
    days === null ? 'too little traffic to estimate the time' : `${shown(days)} days at today's traffic`;
  return `${seen}, ${missing} more needed, ${time}`;
}

const percent = (value: number): string => printedFigure({ value, unit: 'rate' });
