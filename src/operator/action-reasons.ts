import type { ActionDefinition, ServiceDefinition } from '../domain/service-definition.ts';

export interface ActionReason {
  readonly action: string;
  readonly reason: string;
}

/** Reads that only legacy can answer, and requests that are passed through, each with the reason. */
export function actionReasons(definition: ServiceDefinition): {
  readonly legacy_only: readonly ActionReason[];
  readonly passthrough: readonly ActionReason[];
} {
  return {
    legacy_only: reasonsOf(definition, legacyOnlyReason),
    passthrough: reasonsOf(definition, passthroughReason),
  };
}

function legacyOnlyReason(action: ActionDefinition): string | undefined {
  return action.kind === 'read' ? action.legacyOnly : undefined;
}

function passthroughReason(action: ActionDefinition): string | undefined {
  return action.kind === 'passthrough' ? action.reason : undefined;
}

function reasonsOf(
  definition: ServiceDefinition,
  reasonOf: (action: ActionDefinition) => string | undefined,
): ActionReason[] {
  return Object.entries(definition.actions).flatMap(([action, is]) => {
    const reason = reasonOf(is);
    return reason === undefined ? [] : [{ action, reason }];
  });
}
