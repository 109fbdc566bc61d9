import type { Clock } from '../../migration/ports.ts';

/** How a frontend leaves agents that are connected. Milliseconds. */
export interface FarewellSettings {
  /** Longest time in which agents that go on asking are served on. @defaultValue 0: requests in flight are answered, and no other */
  readonly drainMs?: number;
  /** How long requests in flight are waited for in the end. @defaultValue 5000 */
  readonly graceMs?: number;
}

/** What a frontend knows of its agents. */
export interface Agents {
  readonly connected: number;
  /** Requests handed out and not answered. */
  readonly inFlight: number;
  /** Instant of the last request. */
  readonly lastAtMs: number;
  /** From now on finished replies are kept; the function that is returned sends them all. */
  hold(): () => void;
}

const GRACE_MS = 5_000;
/** Nobody has asked for so long: a connection may be closed without a request on its way. */
const QUIET_MS = 250;
/** Replies are held back no longer than this: agents wait 5 s. */
const LONGEST_HOLD_MS = 1_000;
const LOOK_EVERY_MS = 10;

/**
 * Leaves without taking a reply along. ZeroMQ tells nobody which bytes are still on their way to it, and a REQ socket whose request
 * is lost with its connection waits for ever. It sends nothing, though, while it waits for a reply. So agents are served on until
 * all have gone or are quiet. Those that never are have their replies held back, until every one of them waits for one: then all
 * replies go out at once and the connections end behind them. Lost is only the request of an agent that thinks for less than that
 * takes, a fraction of a millisecond where the processor is free.
 */
export async function farewell(agents: Agents, clock: Clock, settings: FarewellSettings): Promise<void> {
  const { drainMs = 0, graceMs = GRACE_MS } = settings;
  const until = async (isOver: () => boolean, atMostMs: number): Promise<void> => {
    const endAtMs = clock.now() + atMostMs;
    while (!isOver() && clock.now() < endAtMs) await clock.sleep(LOOK_EVERY_MS);
  };
  await until(() => isQuiet(agents, clock), drainMs);
  const isBusy = drainMs > 0 && !isQuiet(agents, clock);
  const release = isBusy ? agents.hold() : undefined;
  if (isBusy) await until(() => clock.now() - agents.lastAtMs >= QUIET_MS, LONGEST_HOLD_MS);
  await until(() => agents.inFlight === 0, graceMs);
  release?.();
}

function isQuiet({ connected, inFlight, lastAtMs }: Agents, clock: Clock): boolean {
  return inFlight === 0 && (connected === 0 || clock.now() - lastAtMs >= QUIET_MS);
}
