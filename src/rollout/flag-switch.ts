import { flagName, type ServiceFlag } from '../domain/flags.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { FlagSwitch } from '../migration/guard/guard-ports.ts';
import { UnleashAdmin, type AdminSettings } from './unleash-admin.ts';

/** What moves lanes. A lane whose writes have moved stays where it is: off only keeps further ones from following. */
const MOVING: readonly ServiceFlag[] = ['read-cutover', 'write-cutover'];

/** Switches flags off through Unleash's admin API. */
export function createFlagSwitch(settings: AdminSettings): FlagSwitch {
  const admin = new UnleashAdmin(settings);
  /** What an attempt that failed in its middle had switched off already. */
  const begun = new Map<ServiceName, string[]>();
  return {
    async off(service) {
      const switched = begun.get(service) ?? [];
      begun.set(service, switched);
      for (const flag of MOVING.map((one) => flagName(service, one))) {
        const standing = await admin.find(flag);
        // At 0 % it asks for nothing: whoever raises it again should find it as it was.
        if (standing?.enabled !== true || standing.share === 0) continue;
        await admin.switchOff(flag);
        switched.push(flag);
      }
      begun.delete(service);
      return switched;
    },
    stop: () => admin.stop(),
  };
}
