import { laneKeyOf, serviceName, type Owner } from '../../../src/domain/ids.ts';
import type { FlagContext } from '../../../src/engine/ports/ports.ts';

export const SERVICE = serviceName('session-memory');

export interface FlagFacts {
  readonly enabled?: boolean;
  readonly strategies?: readonly object[];
}

/** A flag of session-memory as Unleash's client API shows it. */
export function feature(flag: string, { enabled = true, strategies }: FlagFacts = {}): object {
  const otherwise = [{ name: 'default', parameters: {} }];
  return {
    name: `crossfade.${SERVICE}.${flag}`,
    type: 'release',
    enabled,
    strategies: strategies ?? otherwise,
  };
}

export const cutover = (percentage: number): object => ({
  name: 'flexibleRollout',
  parameters: {
    rollout: String(percentage),
    stickiness: 'sessionId',
    groupId: `crossfade.${SERVICE}.cutover`,
  },
});

export function definitions(features: readonly object[], segments: readonly object[] = []): string {
  return JSON.stringify({ version: 2, features, segments });
}

export function contextOf(owner: string, more: Partial<FlagContext> = {}): FlagContext {
  return { service: SERVICE, owner: owner as Owner, lane: laneKeyOf(SERVICE, owner as Owner), ...more };
}

const PATIENCE_MS = 20_000;

/** Waits until something holds and says how long that took. @throws Error when it does not */
export async function until(holds: () => boolean): Promise<number> {
  const startedAt = performance.now();
  while (!holds()) {
    if (performance.now() - startedAt > PATIENCE_MS) throw new Error(`not within ${PATIENCE_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return performance.now() - startedAt;
}
