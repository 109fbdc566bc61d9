import type { ReverseSends } from '../../src/engine/ports/reverse-ports.ts';

/** Nothing is sent to legacy. */
export const NO_REVERSE_SENDS: ReverseSends = {
  begin: async () => false,
  find: async () => undefined,
  end: async () => undefined,
  halt: async () => undefined,
  last: async () => ({ nowMs: 0, isForgotten: false, isLost: false, lacksWrite: false }),
  loseWayBack: async () => false,
};
