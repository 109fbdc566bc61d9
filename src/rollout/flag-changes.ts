import { flagName, KILL_SWITCH, SERVICE_FLAGS } from '../domain/flags.ts';
import type { ServiceName } from '../domain/ids.ts';
import type { Flags } from '../engine/ports/ports.ts';

/** A flag whose requested share has changed, in percent. */
export interface FlagChange {
  readonly flag: string;
  readonly from: number;
  readonly to: number;
}

/** Reports how each change of the definitions changed the shares of these services' flags. Ignores constraints and segments. */
export function watchFlagChanges(
  flags: Flags,
  services: readonly ServiceName[],
  onChange: (changes: readonly FlagChange[]) => void,
): void {
  let before = sharesOf(flags, services);
  flags.onChange(() => {
    const now = sharesOf(flags, services);
    const changes = [...now].map(([flag, to]) => ({ flag, from: before.get(flag) ?? 0, to }));
    before = now;
    onChange(changes.filter(({ from, to }) => from !== to));
  });
}

function sharesOf(flags: Flags, services: readonly ServiceName[]): ReadonlyMap<string, number> {
  const shares = services.flatMap((service) =>
    SERVICE_FLAGS.map((flag) => [flagName(service, flag), flags.percentage(flag, service)] as const),
  );
  return new Map([...shares, [KILL_SWITCH, flags.killSwitch() ? 100 : 0]]);
}
