import { flagName, type ServiceFlag } from '../domain/flags.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { FlagSwitch } from '../engine/guard/guard-ports.ts';
import { UnleashError } from './unleash-answer.ts';
import { UnleashAdmin, type AdminSettings } from './unleash-admin.ts';

/** The flags that move lanes. A lane whose writes have moved stays there; off only stops further lanes from moving. */
const MOVING: readonly ServiceFlag[] = ['read-cutover', 'write-cutover'];

/**
 * This flag moves reads. If the project lacks it, people look at another flag, which is still on. A service without a flag for its
 * writes has nothing to switch off.
 */
function unknown(flag: string, { project, environment }: AdminSettings): UnleashError {
  return new UnleashError(
    'not_found',
    `Unleash has no flag "${flag}" in the project "${project}" (rollout.unleash.project), so it cannot be switched off in the ` +
      `environment "${environment}": set the project that has the flag, or create the flag with crossfade flags push`,
  );
}

/** Switches flags off through Unleash's admin API. */
export function createFlagSwitch(settings: AdminSettings): FlagSwitch {
  const admin = new UnleashAdmin(settings);
  /** The flags that a partly failed attempt has already switched off. */
  const begun = new Map<ServiceName, string[]>();
  return {
    async off(service, isDue) {
      const switched = begun.get(service) ?? [];
      begun.set(service, switched);
      for (const flag of MOVING.map((one) => flagName(service, one))) {
        const standing = await admin.find(flag);
        if (standing === undefined && flag === flagName(service, 'read-cutover'))
          throw unknown(flag, settings);
        // A flag at 0 % requests nothing, so it stays as it is for the person who raises it again.
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
