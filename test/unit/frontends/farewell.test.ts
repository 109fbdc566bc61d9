import { expect, test } from 'vitest';
import { farewell, type Agents, type FarewellSettings } from '../../../src/frontends/zmq/farewell.ts';
import type { Clock } from '../../../src/migration/ports.ts';

/** Agents as a script: at each instant so many requests are in flight, and the last came so long ago. */
class ScriptedAgents implements Agents {
  connected = 3;
  inFlight = 0;
  lastAtMs = -1_000;
  readonly events: string[] = [];

  hold(): () => void {
    this.events.push('held');
    return () => this.events.push('released');
  }
}

async function leave(
  agents: ScriptedAgents,
  settings: FarewellSettings,
  script: (nowMs: number) => void,
): Promise<number> {
  let nowMs = 0;
  const clock: Clock = {
    now: () => nowMs,
    wallMs: () => nowMs,
    sleep: async (ms) => {
      nowMs += ms;
      script(nowMs);
    },
  };
  await farewell(agents, clock, settings);
  return nowMs;
}

test('agents that are quiet are left at once', async () => {
  const agents = new ScriptedAgents();
  expect(await leave(agents, { drainMs: 3_000 }, () => undefined)).toBe(0);
  expect(agents.events).toEqual([]);
});

test('agents that pause for a moment are left in it', async () => {
  const agents = new ScriptedAgents();
  agents.lastAtMs = 0;
  const tookMs = await leave(agents, { drainMs: 3_000 }, (nowMs) => {
    if (nowMs < 1_000) agents.lastAtMs = nowMs;
  });
  expect(tookMs).toBeGreaterThanOrEqual(1_240);
  expect(tookMs).toBeLessThan(1_300);
  expect(agents.events).toEqual([]);
});

test('agents that never pause get their replies together, when each of them waits for one', async () => {
  const agents = new ScriptedAgents();
  agents.lastAtMs = 0;
  const tookMs = await leave(agents, { drainMs: 3_000 }, (nowMs) => {
    // Their last requests come 50 ms after replies are held, and one takes 500 ms.
    if (nowMs < 3_050) agents.lastAtMs = nowMs;
    agents.inFlight = nowMs < 3_500 ? 1 : 0;
  });
  expect(agents.events).toEqual(['held', 'released']);
  expect(tookMs).toBeGreaterThanOrEqual(3_500);
  expect(tookMs).toBeLessThan(3_600);
});

test('replies are not held for longer than agents bear, whoever still asks', async () => {
  const agents = new ScriptedAgents();
  agents.lastAtMs = 0;
  const tookMs = await leave(agents, { drainMs: 100 }, (nowMs) => {
    agents.lastAtMs = nowMs;
  });
  expect(agents.events).toEqual(['held', 'released']);
  expect(tookMs).toBeLessThan(1_200);
});

test('without a time to drain only what is in flight is waited for, and that not for ever', async () => {
  const agents = new ScriptedAgents();
  agents.lastAtMs = 0;
  agents.inFlight = 1;
  expect(await leave(agents, { graceMs: 200 }, () => undefined)).toBe(200);
  expect(agents.events).toEqual([]);
});
