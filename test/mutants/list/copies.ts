import { vitest, type Mutant } from '../mutant.ts';

const COPY = 'src/engine/copies/copy-lane.ts';
const LANE = 'src/engine/lane/lane.ts';
const LOOK = 'src/engine/copies/copy-look.ts';

const COPY_TESTS = vitest('test/unit/engine/copies/copy-lane.test.ts');

/** Faults in copies of lanes. */
export const COPY_MUTANTS: readonly Mutant[] = [
  {
    id: 'M10',
    fault: 'a delivery that arrives after the look of a copy brings back what legacy does not show',
    file: COPY,
    search: 'const raised = this.#raiseFence(copy);',
    replace: 'const raised = Promise.resolve();',
    commands: [COPY_TESTS],
  },
  {
    id: 'M11',
    fault: 'the end of a copy makes a lane clean that became dirty meanwhile',
    file: LANE,
    search: "if (this.#condition === 'copying') this.#condition = 'clean';",
    replace: "this.#condition = 'clean';",
    commands: [COPY_TESTS],
  },
  {
    id: 'M42',
    fault: 'a copy believes what it read after its hold on the lane was lost',
    file: COPY,
    search: 'if (!held.isSure())\n        throw',
    replace: 'if (held.isSure() && false)\n        throw',
    commands: [COPY_TESTS],
  },
  {
    id: 'M45',
    fault: 'a copy that finishes does not say how far the lane is delivered',
    file: LANE,
    search: "this.#condition = 'clean';\n    this.deliveredUpTo(sequence);",
    replace: "this.#condition = 'clean';\n    void sequence;",
    commands: [COPY_TESTS],
  },
  {
    id: 'M131',
    fault: 'a copy under a new journal climbs one generation at a time',
    file: COPY,
    search: 'await this.#copy(lane, { advice, above: error.generation });',
    replace: 'await this.#copy(lane, { advice });',
    commands: [COPY_TESTS],
  },
  {
    id: 'M132',
    fault: 'a lost item is not found where legacy shows an equal one',
    file: LOOK,
    search: 'return missing.length > equal ? missing : [];',
    replace: 'return equal === 0 ? missing : [];',
    commands: [COPY_TESTS],
  },
  {
    id: 'M135',
    fault: 'an older equal item hides one that legacy lost before its delivery',
    file: LOOK,
    search: 'isOlder(memory) || (ids.includes',
    replace: '(ids.includes',
    commands: [COPY_TESTS],
  },
  {
    id: 'M182',
    fault: 'a copy takes over an item of a write that was spilled during the copy',
    file: LOOK,
    search: ', parts.checkReading()]);',
    replace: ']);',
    commands: [COPY_TESTS],
  },
  {
    id: 'M185',
    fault:
      'a copy takes an acknowledged write for one that was never sent, because its outcome is not durable',
    file: COPY,
    search: '    await this.#parts.recordedUpTo(lane.key, reading.sequence);\n',
    replace: '',
    commands: [COPY_TESTS],
  },
  {
    id: 'M186',
    fault:
      'what a restored orchestrator shows again counts as lost, because later deliveries hide that it was restored',
    file: LOOK,
    search: 'return undone.length === 0 ? plan',
    replace: 'return undone.length >= 0 ? plan',
    commands: [COPY_TESTS],
  },
  {
    id: 'M183',
    fault: 'a copy calls lost what an agent removed after the end of dual writes',
    file: COPY,
    search: 'isAlone() && isCovered && ',
    replace: 'isAlone() && ',
    commands: [COPY_TESTS],
  },
  {
    id: 'M188',
    fault: 'a restored orchestrator that knows a lane no more counts as one that still holds all of it',
    file: 'src/engine/copies/held-sequences.ts',
    search: 'held === undefined ? NOTHING :',
    replace: 'held === undefined ? undefined :',
    commands: [COPY_TESTS],
  },
  {
    id: 'M134',
    fault: 'a copy leaves delivered items the time at which the proxy accepted them',
    file: 'src/engine/copies/copy-apply.ts',
    search: '...retags, ...retimes, ...creates]',
    replace: '...retags, ...creates]',
    commands: [COPY_TESTS],
  },
];
