import { flagName, type ServiceFlag } from '../domain/flags.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { FlagSwitch } from '../engine/guard/guard-ports.ts';
import { UnleashError } from './unleash-answer.ts';
import { UnleashAdmin, type AdminSettings } from './unleash-admin.ts';

/** What moves lanes. A lane whose writes have moved stays where it is: off only keeps further ones from following. */
const MOVING: readonly ServiceFlag[] = ['read-cutover', 'write-cutover'];

/**
 * Reads move by this flag: where the project does not have it, people look at another one, which is still on. A service that never got
 * a flag for its writes has nothing to switch off.
 */
function unknown(flag: string, { project, environment }: AdminSettings): UnleashError {
  return new UnleashError(
    'not_found',
    `Unleash has no flag "${flag}" in the project "${project}" (rollout.unleash.project), so that it is not switched off in the ` +
      `environment "${environment}": name the project that has it, or make it with crossfade flags push`,
  );
}

/** Switches flags off through Unleash's admin API. */
export function createFlagSwitch(settings: AdminSettings): FlagSwitch {
  const admin = new UnleashAdmin(settings);
  /** What an attempt that failed in its middle had switched off already. */
  const begun = new Map<ServiceName, string[]>();
  return {
    async off(service, isDue) {
      const switched = begun.get(service) ?? [];
      begun.set(service, switched);
      for (const flag of MOVING.map((one) => flagName(service, one))) {
        const standing = await admin.find(flag);
        if (standing === undefined && flag === flagName(service, 'read-cutover'))
          throw unknown(flag, settings);
        // At 0 % it asks for nothing: whoever raises it again should find it as it was.
        if (standing?.enabled !== true || standing.share === 0) continue;
        if (!(await isDue())) break;
        await admin.switchOff(flag);
        switched.push(flag);
      }
      begun.delete(service);
      return switched;
    },
    stop: () => admin.stop(),
  };
}
