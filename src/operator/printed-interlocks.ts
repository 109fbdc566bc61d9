import type { ServiceName } from '../domain/ids.ts';
import type { EndFacts, InterlockFacts, WriteFacts } from '../engine/guard/interlock-facts.ts';
import type { Judged } from '../engine/guard/interlock-keeper.ts';
import type { FlagVerdict } from '../engine/guard/judge-flags.ts';
import type { PrintedInterlocks } from './api/explain.ts';
import { actionStatuses } from './guard-status.ts';
import { toldInterlocks } from './told-interlocks.ts';

type JudgedBy = PrintedInterlocks['judged_by'];

/** The verdict of the interlocks on each flag, with every fact that led to it. */
export function printedInterlocks(service: ServiceName, judged: Judged): PrintedInterlocks {
  const { facts, verdict } = judged;
  const flags = Object.entries(verdict.flags).map(
    ([flag, one]) => [flag, printedVerdict(service, one)] as const,
  );
  return {
    mode: facts.mode,
    flags: Object.fromEntries(flags),
    actions: actionStatuses(service, judged),
    judged_by: printedFacts(facts),
  };
}

function printedVerdict(
  service: ServiceName,
  { asked, inEffect, permitted, reasons }: FlagVerdict,
): PrintedInterlocks['flags'][string] {
  return { asked, in_effect: inEffect, permitted, interlocks: toldInterlocks(reasons, { service }) };
}

function printedFacts(facts: InterlockFacts): JudgedBy {
  const { answers, coverage, lanes, unclassified, writes, ends } = facts;
  return {
    answers,
    coverage,
    lanes: {
      total: lanes.total,
      unseeded: lanes.unseeded,
      unwell: lanes.unwell,
      flipped: lanes.flipped,
      backfill_listed: lanes.isBackfillListed,
    },
    oldest_delivery_seconds: facts.oldestDeliverySeconds,
    unclassified: { requests: unclassified.requests, accepted: unclassified.isAccepted },
    reconciled_ago_seconds: facts.reconciledAgoSeconds,
    findings: printedFindings(facts),
    added_p95_ms: facts.addedP95Ms,
    ramp_held: facts.isRampHeld,
    latch: facts.latch,
    kill_switch: facts.isKilled,
    versions: facts.versions,
    writes: printedWrites(writes),
    ends: printedEnds(ends),
  };
}

function printedFindings({ stores: { lanes, items, run, full } }: InterlockFacts): JudgedBy['findings'] {
  return {
    lanes,
    items,
    run,
    last_full:
      full === null
        ? null
        : { run: full.run, lanes: full.lanes, items: full.items, not_comparable_lanes: full.notComparable },
  };
}

function printedWrites(writes: WriteFacts): JudgedBy['writes'] {
  return {
    comparable_since_full: writes.comparableSinceFull,
    full_for_seconds: writes.fullForSeconds,
    soak_seconds: writes.soakSeconds,
    reverse_proven: writes.isReverseProven,
    first_lane_named: writes.isFirstLaneNamed,
    open_rollbacks: writes.openRollbacks,
  };
}

function printedEnds(ends: EndFacts): JudgedBy['ends'] {
  return {
    lanes_not_flipped: ends.lanesNotFlipped,
    reverse_backlog: ends.reverseBacklog,
    bypassed_ago_seconds: ends.bypassedAgoSeconds,
    bypass_free_seconds: ends.bypassFreeSeconds,
  };
}
