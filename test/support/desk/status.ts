import { Value } from 'typebox/value';
import { STATUS, type Status } from '../../../src/operator/api/status.ts';

interface Facts {
  readonly services: readonly object[];
  readonly [section: string]: unknown;
}

/** A whole status by the schema of the operator's API. What the facts leave out is empty or zero. */
export function statusWith({ services, ...sections }: Facts): Status {
  return Value.Repair(STATUS.showStatus.answer.json, {
    spill: null,
    ...sections,
    services: services.map((service) => ({ lanes: null, lag: null, ...service })),
  });
}
