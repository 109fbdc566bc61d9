import type { EquivalentMutant } from '../mutant.ts';

/** Faults that change nothing that can be seen, each with the reason. They are not run. */
export const EQUIVALENT_MUTANTS: readonly EquivalentMutant[] = [
  {
    id: 'M09',
    file: 'src/engine/copies/copy-lane.ts',
    search: '    await this.#parts.quiet(lane);\n',
    replace: '',
    reason:
      'A copy waits for deliveries that are under way, but it also raises the fence before it looks. A delivery of the older generation that arrives later is superseded by that fence, so the wait only saves work.',
  },
  {
    id: 'M23',
    file: 'src/engine/spill/spill-path.ts',
    search: '    lane.markDirty();\n',
    replace: '',
    reason:
      'While a replica spills, the reason `spilling` keeps all its reads on legacy, and the replay marks each lane dirty before that ends. The mark in memory repeats what both say.',
  },
];
