import type { Logger } from 'pino';
import type { EventName, Listener, MigrationEvents } from '../engine/ports/events.ts';
import type { Finding } from '../engine/ports/finding.ts';
import { printableReason, QuietLog } from './log.ts';

type Level = 'warn' | 'info' | 'debug';

/** The log line of an event. `facts` lists every member that is logged, so that members added later are not logged by accident. */
interface Entry<Name extends EventName> {
  readonly level: Level;
  readonly message: string;
  facts(event: MigrationEvents[Name]): object;
  /** The event can occur with every request, so it is aggregated by service, see {@link QuietLog}. */
  readonly isFrequent?: true;
}

type Entries = { readonly [Name in EventName]?: Entry<Name> };

const TAKEN_OVER = {
  expelled: 'the other replicas had given this one up',
  gone: 'another replica is gone',
} as const;

const ENTRIES: Entries = {
  'lane:dirty': {
    level: 'warn',
    message: 'the history of a lane is uncertain; it will be copied',
    facts: ({ service, lane, reason }) => ({ service, lane, reason }),
  },
  'lane:stopped': {
    level: 'warn',
    message: 'a lane was stopped; a person must decide',
    facts: ({ service, lane, reason, lost }) => ({ service, lane, reason, lost }),
  },
  'lane:restored': {
    level: 'warn',
    message: 'a restored database lacks something of a lane; it gives errors until a person decides',
    facts: ({ service, lane, older }) => ({ service, lane, older }),
    isFrequent: true,
  },
  'lane:returned': {
    level: 'info',
    message: 'legacy is the primary of the writes of a lane again',
    facts: ({ service, lane, rollback }) => ({ service, lane, rollback }),
    isFrequent: true,
  },
  'rollback:ended': {
    level: 'info',
    message: 'every lane of a rollback has returned to legacy',
    facts: ({ service, rollback, lanes, returned }) => ({ service, rollback, lanes, returned }),
  },
  'rollback:failed': {
    level: 'warn',
    message: 'the lanes that are to return to legacy could not be looked up; this is tried again',
    facts: ({ reason }) => ({ reason: printableReason(reason) }),
    isFrequent: true,
  },
  'restored:not_compared': {
    level: 'warn',
    message: 'the journal and the orchestrator could not be compared after a lost connection',
    facts: ({ reason }) => ({ reason: printableReason(reason) }),
    isFrequent: true,
  },
  'lane:excepted': {
    level: 'warn',
    message: 'a copy left out items that the orchestrator refuses; reads of the lane stay on legacy',
    facts: ({ service, lane, items, code, reason }) => ({ service, lane, items, code, reason }),
  },
  'lane:copy_failed': {
    level: 'warn',
    message: 'copying a lane failed and will be repeated',
    facts: ({ service, lane, reason, attempt, retryInMs }) => ({
      service,
      lane,
      reason: printableReason(reason),
      attempt,
      retryInMs: Math.round(retryInMs),
    }),
  },
  'lane:diverged': {
    level: 'warn',
    message: 'a reconciliation found differences in a lane',
    facts: ({ service, lane, findings, lost, bypassed }) => ({ service, lane, findings, lost, bypassed }),
  },
  'flipped:diverged': {
    level: 'warn',
    message: 'a reconciliation found that legacy differs in a flipped lane; no further lane is flipped',
    facts: ({ service, lane, findings }) => ({ service, lane, findings }),
  },
  'run:failed': {
    level: 'warn',
    message: 'a page of a run failed and will be repeated',
    facts: ({ reason }) => ({ reason: printableReason(reason) }),
    isFrequent: true,
  },
  'run:finished': {
    level: 'info',
    message: 'a run has finished',
    facts: ({ run, kind }) => ({ run, kind }),
  },
  'write:not_closed': {
    level: 'warn',
    message: 'the orchestrator has not said what became of a write; its sequence will be closed',
    facts: ({ lane, sequence, reason }) => ({ lane, sequence, reason: printableReason(reason) }),
    isFrequent: true,
  },
  'service:read_only': {
    level: 'info',
    message: 'legacy gets no later write of the service',
    facts: ({ service }) => ({ service }),
  },
  'service:completed': {
    level: 'info',
    message: 'the service is complete, and legacy is not needed any more',
    facts: ({ service }) => ({ service }),
  },
  'service:settled': {
    level: 'info',
    message: 'legacy has its last write, and the service is read-only',
    facts: ({ service }) => ({ service }),
  },
  'service:census': {
    level: 'debug',
    message: "a read-only legacy service's store was compared with its last state",
    facts: ({ service, lanes, unproven, foreign }) => ({ service, lanes, unproven, foreign }),
  },
  'service:census_failed': {
    level: 'warn',
    message: "comparing legacy's store with its last state failed and will be repeated",
    facts: ({ service, reason }) => ({ service, reason: printableReason(reason) }),
  },
  'service:foreign_change': {
    level: 'warn',
    message: 'something that Crossfade did not do has used or changed a read-only legacy service',
    facts: ({ service, owner, kind, changes, writers }) => ({ service, owner, kind, changes, writers }),
  },
  'delivery:failed': {
    level: 'warn',
    message: 'a delivery to the orchestrator failed and will be repeated',
    facts: ({ writes, attempt, retryInMs, reason }) => ({
      writes,
      attempt,
      retryInMs: Math.round(retryInMs),
      reason: printableReason(reason),
    }),
    isFrequent: true,
  },
  'comparison:deleted_returned': {
    level: 'warn',
    message: 'the orchestrator returned deleted items',
    facts: ({ service, action, lane, operationId, items }) => ({ service, action, lane, operationId, items }),
  },
  'flipped:deleted_returned': {
    level: 'warn',
    message: 'deleted items of a flipped lane were shown again, and further flips are held',
    facts: ({ service, action, lane, operationId, items }) => ({ service, action, lane, operationId, items }),
  },
  'rule:expired': {
    level: 'warn',
    message: 'a comparison rule has expired and is off',
    facts: ({ service, action, kind, path, owner, expires }) => ({
      service,
      action,
      kind,
      path,
      owner,
      expires,
    }),
  },
  'delivery:dead_letter': {
    level: 'warn',
    message: 'the orchestrator refuses a write permanently',
    facts: ({ service, lane, operationId, action, sequence, code, reason }) => ({
      service,
      lane,
      operationId,
      action,
      sequence,
      code,
      reason: printableReason(reason),
    }),
  },
  'delivery:altered': {
    level: 'warn',
    message:
      'the orchestrator stores a delivered write differently from what was sent; its lane will be copied',
    facts: ({ service, lane, sequence }) => ({ service, lane, sequence }),
  },
  'reverse:halted': {
    level: 'warn',
    message: 'a write cannot be sent to legacy without a decision; later writes of its lane wait',
    facts: ({ service, lane, operationId, action, sequence, reason }) => ({
      service,
      lane,
      operationId,
      action,
      sequence,
      reason,
    }),
  },
  'reverse:failed': {
    level: 'warn',
    message: 'a write could not be sent to legacy and will be sent later',
    facts: ({ service, reason }) => ({ service, reason: printableReason(reason) }),
    isFrequent: true,
  },
  'reverse:not_shown': {
    level: 'warn',
    message: 'legacy accepted a write from the orchestrator and does not show it',
    facts: ({ service, lane, sequence }) => ({ service, lane, sequence }),
  },
  'canary:proved': {
    level: 'info',
    message: 'writes of the canary were read back on legacy',
    facts: ({ service, writes }) => ({ service, writes }),
  },
  'canary:failed': {
    level: 'warn',
    message: 'the way back could not be proven by writes of the canary',
    facts: ({ service, reason }) => ({ service, reason: printableReason(reason) }),
  },
  'reverse:way_back_lost': {
    level: 'warn',
    message: 'more writes wait for legacy than the limit allows; the lane cannot return to legacy',
    facts: ({ service, lane, writes }) => ({ service, lane, writes }),
  },
  'replica:took_over': {
    level: 'info',
    message: 'this replica takes over what a replica left',
    facts: ({ what }) => ({ because: TAKEN_OVER[what] }),
  },
  'write:came_late': {
    level: 'debug',
    message: 'the late reply to a write of unknown outcome has come; its lane is certain again',
    facts: ({ service, action, lane, operationId }) => ({ service, action, lane, operationId }),
  },
  'write:repeated': {
    level: 'debug',
    message: 'a write repeats one whose agent got no reply',
    facts: ({ service, action, lane, operationId, result }) => ({
      service,
      action,
      lane,
      operationId,
      result,
    }),
  },
  'write:named': {
    level: 'debug',
    message: 'resolved the items that a write names by place or condition',
    facts: ({ service, action, lane, operationId, result, reason = '' }) => ({
      service,
      action,
      lane,
      operationId,
      result,
      reason: printableReason(reason),
    }),
  },
  'guard:tripped': {
    level: 'warn',
    message: 'the guard has tripped; reads go to legacy until a person releases the latch',
    facts: ({ service, finding }) => ({ service, ...findingFacts(finding) }),
  },
  'guard:found': {
    level: 'warn',
    message: 'the guard reports a problem; a person should look at it',
    facts: ({ service, finding }) => ({ service, ...findingFacts(finding) }),
  },
  'guard:flags_off': {
    level: 'info',
    message: 'the flags were switched off in Unleash after the trip',
    facts: ({ service, flags }) => ({ service, flags }),
  },
  'guard:flags_failed': {
    level: 'warn',
    message:
      'the flags could not be switched off in Unleash after the trip; this will be repeated, and the latch keeps reads on legacy',
    facts: ({ service, reason }) => ({ service, reason: printableReason(reason) }),
  },
  'guard:released': {
    level: 'info',
    message: 'a latch was released',
    facts: ({ service, latch, person }) => ({ service, latch, person }),
  },
  'journal:failed': {
    level: 'warn',
    message: 'the journal failed',
    facts: ({ reason }) => ({ reason: printableReason(reason) }),
    isFrequent: true,
  },
  'spill:began': {
    level: 'warn',
    message: 'the journal is away; writes go to legacy and to the spill, and legacy answers reads',
    facts: ({ reason }) => ({ reason }),
  },
  'spill:failed': {
    level: 'warn',
    message: 'a write was rejected because the journal is away and the spill cannot store it',
    facts: ({ reason }) => ({ reason }),
    isFrequent: true,
  },
  'spill:replayed': {
    level: 'info',
    message: 'the journal is back and holds every spilled write; their lanes will be copied',
    facts: ({ writes, durationMs }) => ({ writes, awayMs: Math.round(durationMs) }),
  },
  'spill:damaged': {
    level: 'warn',
    message:
      'part of the spill is unreadable; it is kept as damaged-*.kept, and every lane will be copied again',
    facts: ({ services }) => ({ services }),
  },
  'backfill:failed': {
    level: 'warn',
    message: 'the owners of a service could not be listed',
    facts: ({ service, reason }) => ({ service, reason: printableReason(reason) }),
    isFrequent: true,
  },
  'coverage:began': {
    level: 'info',
    message: 'coverage began; writes are journaled now',
    facts: ({ service, number }) => ({ service, coverage: number }),
  },
  'coverage:ended': {
    level: 'info',
    message: 'coverage ended; writes are no longer journaled',
    facts: ({ service, number }) => ({ service, coverage: number }),
  },
  'share:changed': {
    level: 'info',
    message: 'the share of lanes whose writes may move to the orchestrator has changed',
    facts: ({ service, number, percentage }) => ({ service, share: number, percentage }),
  },
  'lane:flipped': {
    level: 'info',
    message: 'the orchestrator is primary for the writes of a lane',
    facts: ({ service, lane, epoch, heldMs }) => ({ service, lane, epoch, heldMs: Math.round(heldMs) }),
    isFrequent: true,
  },
  'lane:born': {
    level: 'debug',
    message: 'the writes of a new owner go to the orchestrator',
    facts: ({ service, lane }) => ({ service, lane }),
  },
  'flip:failed': {
    level: 'warn',
    message: 'a lane could not be flipped; legacy stays primary for its writes, and the flip is tried again',
    facts: ({ service, lane, reason, failed, retryInMs }) => ({ service, lane, reason, failed, retryInMs }),
    isFrequent: true,
  },
  'flip:compared': {
    level: 'debug',
    message: 'a flipped lane was compared',
    facts: ({ service, lane, result }) => ({ service, lane, result }),
  },
  'backfill:queued': {
    level: 'info',
    message: 'the owners of a service are listed; lanes that are not seeded will be copied',
    facts: ({ service, owners, lanes }) => ({ service, owners, lanes }),
  },
  'lane:copied': {
    level: 'debug',
    message: 'a lane was copied',
    facts: ({ service, lane, items, written, deleted, forgotten, durationMs, heldMs }) => ({
      service,
      lane,
      items,
      written,
      deleted,
      forgotten,
      durationMs: Math.round(durationMs),
      heldMs: Math.round(heldMs),
    }),
  },
};

function findingFacts({ trigger, action, detail, steps, numbers }: Finding): object {
  return { trigger, action, detail, steps, ...numbers };
}

class EventLog {
  readonly #log: Logger;
  readonly #quiet = new QuietLog();

  constructor(log: Logger) {
    this.#log = log;
  }

  say<Name extends EventName>(name: Name, event: MigrationEvents[Name]): void {
    const entry: Entry<Name> | undefined = ENTRIES[name];
    if (entry === undefined || !this.#log.isLevelEnabled(entry.level)) return;
    const { level, message } = entry;
    const facts = { event: name, ...entry.facts(event) };
    const say = (said: object): void => this.#log[level](said, message);
    if (entry.isFrequent !== true) return say(facts);
    const service = 'service' in event ? event.service : '';
    this.#quiet.add(`${name} ${service}`, facts, say);
  }
}

/** Logs what an operator must know. It writes no line per request, and no content of memories. */
export function createLogListener(log: Logger): Listener {
  const events = new EventLog(log);
  return (name, event) => events.say(name, event);
}
