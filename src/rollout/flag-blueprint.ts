import { flagName, KILL_SWITCH, SERVICE_FLAGS, type ServiceFlag } from '../domain/flags.ts';
import type { ServiceName } from '../domain/ids.ts';

/** A flag as it is created if it is missing. It moves no traffic. */
export interface FlagBlueprint {
  readonly name: string;
  /** Unleash's word for the purpose of the flag. */
  readonly type: 'release' | 'kill-switch';
  readonly description: string;
  /** A share is on at 0 %, so that a person raises it. A switch is off at 100 %, so that a person switches it on. */
  readonly enabled: boolean;
  readonly strategy: {
    readonly name: 'flexibleRollout';
    readonly parameters: Readonly<Record<'rollout' | 'stickiness' | 'groupId', string>>;
  };
}

interface Sort {
  readonly description: string;
  /** `switch`: evaluated for a service as a whole, so a share has no meaning. */
  readonly kind: 'share' | 'switch';
  readonly stickiness: 'random' | 'sessionId';
  /** Flags of one group move the same lanes first. */
  readonly group: string;
}

const SORTS = {
  'dual-write': {
    description:
      'Writes of SERVICE are journaled and also delivered to the orchestrator. Applies to the whole service.',
    kind: 'switch',
    stickiness: 'sessionId',
    group: 'dual-write',
  },
  'shadow-read': {
    description: 'Share of the reads of SERVICE that are also sent to the orchestrator and compared.',
    kind: 'share',
    stickiness: 'random',
    group: 'shadow-read',
  },
  'read-cutover': {
    description: 'Share of the lanes of SERVICE whose reads are answered by the orchestrator.',
    kind: 'share',
    stickiness: 'sessionId',
    group: 'cutover',
  },
  'write-cutover': {
    description:
      'Share of the lanes of SERVICE whose writes go to the orchestrator first. The same lanes move as with read-cutover.',
    kind: 'share',
    stickiness: 'sessionId',
    group: 'cutover',
  },
  'legacy-read-only': {
    description:
      'The legacy service SERVICE gets no more writes; only the orchestrator does. Applies to the whole service.',
    kind: 'switch',
    stickiness: 'sessionId',
    group: 'legacy-read-only',
  },
} as const satisfies Record<ServiceFlag, Sort>;

/** Every flag of these services, and the kill switch. Shares are at 0 %, switches are off. */
export function blueprintsOf(services: readonly ServiceName[]): FlagBlueprint[] {
  const ofServices = services.flatMap((service) => SERVICE_FLAGS.map((flag) => blueprintOf(service, flag)));
  return [...ofServices, killSwitch];
}

function blueprintOf(service: ServiceName, flag: ServiceFlag): FlagBlueprint {
  const { description, kind, stickiness, group } = SORTS[flag];
  return {
    name: flagName(service, flag),
    type: 'release',
    description: description.replace('SERVICE', service),
    enabled: kind === 'share',
    strategy: {
      name: 'flexibleRollout',
      parameters: {
        rollout: kind === 'share' ? '0' : '100',
        stickiness,
        groupId: `crossfade.${service}.${group}`,
      },
    },
  };
}

const killSwitch: FlagBlueprint = {
  name: KILL_SWITCH,
  type: 'kill-switch',
  description:
    'Kill switch for all services: while it is on, legacy answers the reads of all lanes that are not flipped. Writes are still journaled.',
  // Off at 100 %, so that in an emergency one switch is enough.
  enabled: false,
  strategy: {
    name: 'flexibleRollout',
    parameters: { rollout: '100', stickiness: 'sessionId', groupId: KILL_SWITCH },
  },
};
