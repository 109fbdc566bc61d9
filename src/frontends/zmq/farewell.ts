import type { Clock } from '../../engine/ports/ports.ts';

/** How a frontend leaves agents that are connected. Milliseconds. */
export interface FarewellSettings {
  /** Longest time in which agents that have just asked may ask once more. @defaultValue 0: requests in flight are answered, and no other */
  readonly drainMs?: number;
  /** How long requests in flight are waited for in the end. @defaultValue 5000 */
  readonly graceMs?: number;
}

/** What must be known of an agent to leave it. */
export interface Leavable {
  /** Requests handed out and not answered. */
  readonly inFlight: number;
  readonly lastAtMs: number;
  /** Ends the connection: what was sent before still arrives. */
  leave(): void;
  destroy(): void;
}

const GRACE_MS = 5_000;
/** Who has said nothing for so long is not about to ask: it finds our successor with its next request. */
const QUIET_MS = 1_000;
const LOOK_EVERY_MS = 10;
/** A look that comes so much later shows that this process, or the machine, stood still: no agent could be heard meanwhile. */
const STALLED_MS = 50;

/**
 * Leaves agents without taking a reply along: a REQ socket whose request is lost with its connection waits for ever, and nobody can
 * tell it. Each one's connection is ended behind the reply to its next request, when it certainly has none on its way (that is done
 * where replies are sent); here, of those that are quiet. What had come before a look is read first, and time in which this process
 * stood still is no quiet time. Resolves when all have gone. A request is lost only where an agent was quiet and asks within the
 * microseconds that the end of its connection takes to reach it.
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

/** Timers run before sockets are read: after one whole turn of the event loop, all that had come is read. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

function leaveQuiet(agents: Iterable<Leavable>, sinceMs: number): void {
  for (const agent of agents) if (agent.inFlight === 0 && agent.lastAtMs <= sinceMs) agent.leave();
}
