import type { Clock } from '../../shared/clock.ts';

/** How a frontend disconnects its agents at a stop. Milliseconds. */
export interface FarewellSettings {
  /** How long recently active agents may send further requests. @defaultValue 0: only requests in flight are answered */
  readonly drainMs?: number;
  /** How long to wait for requests in flight at the end. @defaultValue 5000 */
  readonly graceMs?: number;
}

/** The facts and functions needed to disconnect an agent. */
export interface Leavable {
  /** Number of unanswered requests. */
  readonly inFlight: number;
  readonly lastAtMs: number;
  /** Closes the connection. Bytes that were already sent still arrive. */
  leave(): void;
  destroy(): void;
}

const GRACE_MS = 5_000;
/** An agent that was silent for this long is probably not about to send. Its next request goes to our successor. */
const QUIET_MS = 1_000;
const LOOK_EVERY_MS = 10;
/** A check that is late by this much shows that the process or machine was paused, so no agent could be read in that time. */
const STALLED_MS = 50;

/**
 * Disconnects agents without losing a reply, because a REQ socket whose request is lost with its connection waits forever. The sender
 * of replies closes a connection after the reply to the next request, when the agent certainly has no request on its way. This function
 * closes the connections of silent agents. Before each check, bytes that have arrived are read, and time in which this process was paused
 * does not count as silence. Resolves when all agents are disconnected. A request is lost only if a silent agent sends it within the
 * microseconds that the close takes to reach the agent.
 */
export async function farewell(
  agents: ReadonlySet<Leavable>,
  clock: Clock,
  { drainMs = 0, graceMs = GRACE_MS }: FarewellSettings = {},
): Promise<void> {
  const drainedAtMs = clock.now() + drainMs;
  const endAtMs = drainedAtMs + graceMs;
  let [lookedAtMs, awakeSinceMs] = [clock.now(), -Infinity];
  while (agents.size > 0 && clock.now() < endAtMs) {
    await nextTurn();
    const now = clock.now();
    if (now - lookedAtMs > LOOK_EVERY_MS + STALLED_MS) awakeSinceMs = now;
    lookedAtMs = now;
    const quietSinceMs = now - QUIET_MS;
    if (now >= drainedAtMs) leaveQuiet(agents, now);
    else if (awakeSinceMs <= quietSinceMs) leaveQuiet(agents, quietSinceMs);
    await clock.sleep(LOOK_EVERY_MS);
  }
  for (const agent of agents) agent.destroy();
}

/** Timers run before sockets are read, so all arrived bytes are read only after one whole turn of the event loop. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

function leaveQuiet(agents: Iterable<Leavable>, sinceMs: number): void {
  for (const agent of agents) if (agent.inFlight === 0 && agent.lastAtMs <= sinceMs) agent.leave();
}
