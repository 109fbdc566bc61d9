import { expect, test } from 'vitest';
import { farewell, type FarewellSettings, type Leavable } from '../../../src/frontends/zmq/router.ts';
import type { Clock } from '../../../src/shared/clock.ts';

/** An agent as a script: it leaves when it is told to. */
class ScriptedAgent implements Leavable {
  inFlight = 0;
  lastAtMs = -1_000;
  end: 'left' | 'destroyed' | undefined;
  readonly #all: Set<Leavable>;

  constructor(all: Set<Leavable>) {
    this.#all = all;
    all.add(this);
  }

  leave(): void {
    this.end = 'left';
    this.#all.delete(this);
  }

  destroy(): void {
    this.end = 'destroyed';
  }
}

async function leave(
  agents: Set<Leavable>,
  settings: FarewellSettings,
  script: (nowMs: number) => void = () => undefined,
  stallMs = 0,
): Promise<number> {
  let nowMs = 0;
  const clock: Clock = {
    now: () => nowMs,
    wallMs: () => nowMs,
    sleep: async (ms) => {
      nowMs += nowMs === 0 ? ms + stallMs : ms;
      script(nowMs);
    },
  };
  await farewell(agents, clock, settings);
  return nowMs;
}

test('without connected agents there is nothing to wait for', async () => {
  expect(await leave(new Set(), { drainMs: 3_000 })).toBe(0);
});

test('silent agents are disconnected at once, recently active ones later', async () => {
  const agents = new Set<Leavable>();
  const [quiet, lately] = [new ScriptedAgent(agents), new ScriptedAgent(agents)];
  lately.lastAtMs = -100;
  const tookMs = await leave(agents, { drainMs: 3_000 }, (nowMs) => {
    if (nowMs < 100) expect([quiet.end, lately.end]).toEqual(['left', undefined]);
  });
  expect(lately.end).toBe('left');
  expect(tookMs).toBeGreaterThanOrEqual(900);
  expect(tookMs).toBeLessThan(950);
});

test('a busy agent is not disconnected while a request may be on its way', async () => {
  const agents = new Set<Leavable>();
  const busy = new ScriptedAgent(agents);
  busy.lastAtMs = 0;
  const tookMs = await leave(agents, { drainMs: 3_000 }, (nowMs) => {
    busy.lastAtMs = nowMs;
    // The reply to a request of its own took its connection along.
    if (nowMs === 1_000) agents.delete(busy);
  });
  expect(busy.end).toBeUndefined();
  expect(tookMs).toBe(1_000);
});

test('without drain time only requests in flight are awaited, up to a limit', async () => {
  const agents = new Set<Leavable>();
  const [idle, waiting] = [new ScriptedAgent(agents), new ScriptedAgent(agents)];
  idle.lastAtMs = 0;
  waiting.inFlight = 1;
  expect(await leave(agents, { graceMs: 200 })).toBe(200);
  expect([idle.end, waiting.end]).toEqual(['left', 'destroyed']);
});

test('requests from a pause of the process are read before an agent counts as silent', async () => {
  const agents = new Set<Leavable>();
  const asking = new ScriptedAgent(agents);
  asking.lastAtMs = 0;
  await leave(agents, { drainMs: 3_000 }, (nowMs) => {
    if (nowMs < 3_000) asking.lastAtMs = nowMs;
    // Its request is in the socket: it is read after the timers.
    else setImmediate(() => (asking.inFlight = 1));
  });
  expect(asking.end).toBe('destroyed');
});

test('a pause of the process does not count as silence of its agents', async () => {
  const agents = new Set<Leavable>();
  const thinking = new ScriptedAgent(agents);
  thinking.lastAtMs = 0;
  let leftAtMs: number | undefined;
  await leave(
    agents,
    { drainMs: 3_000 },
    (nowMs) => {
      if (thinking.end !== undefined) leftAtMs ??= nowMs;
    },
    600,
  );
  // Heard at 0, then the process stood still until 600: it is quiet from there on.
  expect(leftAtMs).toBeGreaterThanOrEqual(1_600);
});
