import type { Feature } from './definitions.ts';
import { SHARE_OF_STRATEGY } from './rollout-percentage.ts';

type Strategy = NonNullable<Feature['strategies']>[number];

const known = new WeakMap<Feature, Map<number, Feature>>();

/**
 * The feature limited to at most `atMost` percent. It keeps a part of the same lanes, because a gradual rollout takes lanes in a fixed
 * order. Lists of users or hosts stay, because a person has named each of them. @param atMost 0–100
 */
export function cappedFeature(feature: Feature, atMost: number): Feature {
  let byCap = known.get(feature);
  if (byCap === undefined) known.set(feature, (byCap = new Map()));
  let capped = byCap.get(atMost);
  if (capped === undefined) byCap.set(atMost, (capped = cap(feature, atMost)));
  return capped;
}

function cap(feature: Feature, atMost: number): Feature {
  if (atMost <= 0) return { ...feature, enabled: false };
  const strategies = feature.strategies ?? [];
  if (strategies.length === 0) return { ...feature, strategies: [everyone(feature.name, atMost)] };
  return {
    ...feature,
    strategies: strategies.map((strategy) => capStrategy(strategy, feature.name, atMost)),
  };
}

function capStrategy(strategy: Strategy, name: string, atMost: number): Strategy {
  const share = SHARE_OF_STRATEGY[strategy.name];
  if (share === 'everything') return { ...strategy, ...everyone(name, atMost, strategy) };
  if (share === undefined || share === 'some') return strategy;
  const asked = Number(strategy.parameters[share.parameter]);
  const parameters = { ...strategy.parameters, [share.parameter]: String(Math.min(asked, atMost)) };
  return { ...strategy, parameters };
}

function everyone(name: string, atMost: number, of?: Strategy): Strategy {
  return {
    ...(of ?? { constraints: [] }),
    name: 'flexibleRollout',
    parameters: { rollout: String(atMost), stickiness: 'sessionId', groupId: name },
  } as Strategy;
}
