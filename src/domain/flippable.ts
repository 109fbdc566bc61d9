import type { Retention } from './retention.ts';
import type { ServiceDefinition, SideEffects, WriteAction } from './service-definition.ts';

/** Why the writes of an action cannot be moved to the orchestrator. */
export interface NotFlippable {
  readonly action: string;
  /** For people. */
  readonly reason: string;
}

/** Every reason in a definition for which no lane of its service can be flipped. Empty: the lanes can be flipped. */
export function whyNotFlippable({ actions }: ServiceDefinition): readonly NotFlippable[] {
  return Object.entries(actions).flatMap(([action, is]) =>
    is.kind === 'write' ? reasonsOf(is).map((reason) => ({ action, reason })) : [],
  );
}

function reasonsOf(write: WriteAction): string[] {
  return [
    ...(write.asPrimary === undefined
      ? ['the definition has no asPrimary for it, so that only legacy can answer it']
      : []),
    ...(write.reverse === 'impossible' ? [`it cannot be sent to legacy afterwards: ${write.loses}`] : []),
  ];
}

/** What agents and operators notice after a lane was flipped, one sentence each, without a period. */
export function noticedAfterFlip({ actions, lanes, noticed = [] }: ServiceDefinition): readonly string[] {
  return [
    ...keptOf(lanes.retention),
    ...noticed,
    ...Object.entries(actions).flatMap(([action, is]) => (is.kind === 'write' ? noticedOf(action, is) : [])),
  ];
}

function keptOf({ idleSeconds, owners, entries }: Retention): string[] {
  const stays = 'legacy would delete by itself, stays visible';
  return [
    ...(idleSeconds === undefined ? [] : [`what is unused for ${idleSeconds} s, which ${stays}`]),
    ...(owners === undefined ? [] : [`what lies beyond the newest ${owners} owners, which ${stays}`]),
    ...(entries === undefined
      ? []
      : [`what lies beyond the newest ${entries} items of an owner, which ${stays}`]),
  ];
}

function noticedOf(action: string, { reverse, loses, sideEffects }: WriteAction): string[] {
  return [
    ...(reverse === 'exact' ? [] : [`${action}: legacy does not get ${loses}`]),
    ...(sideEffects === undefined ? [] : [`${action}: ${sideEffects.what}; ${raisedBy(sideEffects)}`]),
  ];
}

function raisedBy(effects: SideEffects): string {
  return effects.raisedBy === 'orchestrator'
    ? 'the orchestrator causes it'
    : `legacy causes it when it gets the write, unless the write is older than ${effects.largestAgeSeconds} s`;
}
