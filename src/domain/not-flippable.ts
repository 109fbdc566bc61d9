import type { ServiceDefinition, WriteAction } from './service-definition.ts';

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
