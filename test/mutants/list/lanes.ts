import { sim, vitest, type Mutant } from '../mutant.ts';

const FENCE = 'src/engine/lane/fence.ts';
const FENCES = 'src/engine/lane/fence.ts';
const HOLD = 'src/engine/lane/hold-lane.ts';
const MEMBERSHIP = 'src/engine/replicas/membership.ts';
const JOURNALED = 'src/engine/copies/journaled-writes.ts';
const APPLY = 'src/engine/copies/copy-apply.ts';
const DECIDE = 'src/engine/requests/decide.ts';
const KEEPER = 'src/engine/coverage/coverage-keeper.ts';
const ATTRIBUTE = 'src/engine/runs/attribute.ts';
const TRIGGERS = 'src/engine/guard/triggers.ts';
const BACKLOG = 'src/engine/writes/backlog-limit.ts';

const FENCE_TESTS = vitest('test/unit/engine/lane/fences.test.ts');
const NAMED_TESTS = vitest('test/unit/engine/items/named-items.test.ts');
const MEMBER_TESTS = vitest('test/unit/engine/replicas/membership.test.ts');
const KEEPER_TESTS = vitest('test/unit/engine/coverage/coverage-keeper.test.ts');
const DECIDE_TESTS = vitest('test/unit/engine/requests/decide.test.ts');

/** Faults in what keeps a lane's reads, copies and comparisons right. */
export const LANE_MUTANTS: readonly Mutant[] = [
  {
    id: 'M12',
    fault: 'every batch of a copy carries the sequence, so a copy that breaks off shuts out deliveries',
    file: APPLY,
    search: 'waiting.length === 0 ? fence : generation',
    replace: 'fence',
    commands: [vitest('test/unit/engine/copies/copy-apply.test.ts')],
  },
  {
    id: 'M13',
    fault: 'an uncertain clear does not cover items that a copy has numbered anew',
    file: JOURNALED,
    search: 'if (write.isUncertain !== true) return deletions;',
    replace: 'if (write.isUncertain !== undefined) return deletions;',
    commands: [NAMED_TESTS],
  },
  {
    id: 'M19',
    fault: 'a silent replica, which may have spilled, does not keep reads on legacy',
    file: FENCE,
    search: 'holds: ({ isReplicaSilent = false }) => isReplicaSilent',
    replace: 'holds: () => false',
    commands: [FENCE_TESTS],
  },
  {
    id: 'M27',
    fault: 'the guard trips at twice its limit',
    file: TRIGGERS,
    search: "if (lowerBound > rule.limit) return { steps: ['reads_to_legacy'], numbers };",
    replace: "if (lowerBound > 2 * rule.limit) return { steps: ['reads_to_legacy'], numbers };",
    commands: [
      vitest('test/unit/engine/guard/trigger-levels.test.ts', 'test/unit/engine/guard/guard.test.ts'),
    ],
  },
  {
    id: 'M28',
    fault: 'the guard needs six findings instead of five',
    file: TRIGGERS,
    search: 'tally.hits < limits.leastHits ||',
    replace: 'tally.hits <= limits.leastHits ||',
    commands: [
      vitest('test/unit/engine/guard/trigger-levels.test.ts', 'test/unit/engine/guard/guard.test.ts'),
    ],
  },
  {
    id: 'M30',
    fault: 'a deleted item that is back counts as vanished',
    file: ATTRIBUTE,
    search: "const kind = isOurs ? 'resurrected' : 'added';",
    replace: "const kind = isOurs ? 'removed' : 'added';",
    commands: [vitest('test/unit/engine/runs/attribute.test.ts')],
  },
  {
    id: 'M63',
    fault: 'a replica that spills answers reads from the orchestrator',
    file: FENCES,
    search: "return this.#parts.isSpilling() ? 'spilling' : lane.fence(this.#coverageOf(lane), use);",
    replace: 'return lane.fence(this.#coverageOf(lane), use);',
    commands: [FENCE_TESTS],
  },
  {
    id: 'M64',
    fault: 'a replica trusts its memory of a lane although others write to it',
    file: FENCES,
    search: 'return lane.isLoaded && this.#parts.isAlone();',
    replace: 'return lane.isLoaded;',
    commands: [FENCE_TESTS],
  },
  {
    id: 'M65',
    fault: 'items that the secondary refused and no person accepted do not keep reads on legacy',
    file: FENCE,
    search: 'holds: ({ exceptions }) => exceptions > 0',
    replace: 'holds: () => false',
    commands: [FENCE_TESTS],
  },
  {
    id: 'M66',
    fault: 'a hold counts as held although this replica was given up',
    file: HOLD,
    search: 'parts.identity.id === id && parts.mayAct() &&',
    replace: '',
    commands: [vitest('test/unit/engine/lane/hold-lane.test.ts')],
  },
  {
    id: 'M67',
    fault: 'a replica that only believes that it is alone does not hold the lane in the journal',
    file: MEMBERSHIP,
    search: 'return isFresh && this.isOnlyOne && !this.#isAnySpilled && isKnown;',
    replace: 'return this.isOnlyOne && !this.#isAnySpilled && isKnown;',
    commands: [MEMBER_TESTS],
  },
  {
    id: 'M184',
    fault: 'a replica that was paused passes a write that the others would have journaled',
    file: MEMBERSHIP,
    search: 'this.#isOutdated || this.#pauses.count !== this.#pausesHeard',
    replace: 'this.#isOutdated',
    commands: [MEMBER_TESTS],
  },
  {
    id: 'M190',
    fault: 'a connection that broke during a pause counts as news of the other replicas',
    file: MEMBERSHIP,
    search: 'if (pauses === this.#pausesUnheard) this.#pausesHeard = pauses;',
    replace: 'this.#pausesHeard = pauses;',
    commands: [MEMBER_TESTS],
  },
  {
    id: 'M68',
    fault: 'a write is sent in the last second of the lease, while others take over',
    file: MEMBERSHIP,
    search: 'now >= this.#actsFromMs && now < this.#leaseUntilMs - RESERVE_MS',
    replace: 'now >= this.#actsFromMs && now < this.#leaseUntilMs + 2 * RESERVE_MS',
    commands: [MEMBER_TESTS],
  },
  {
    id: 'M69',
    fault: 'a replica acts at once under its new name, while others believe that they are alone',
    file: MEMBERSHIP,
    search: '    this.#actsFromMs = clock.now() + SETTLE_IN_MS;\n',
    replace: '',
    commands: [MEMBER_TESTS],
  },
  {
    id: 'M70',
    fault: 'a write of unknown outcome is taken for certain when what it wrote is delivered by a copy',
    file: JOURNALED,
    search: 'const certain = planned.filter(isCertain);',
    replace: 'const certain = planned;',
    commands: [NAMED_TESTS, sim('--runs 400')],
  },
  {
    id: 'M71',
    fault: 'an item that was deleted after it was written is delivered by a copy',
    file: JOURNALED,
    search: '      if (deletions.some((deletion) => takes(deletion, memory))) continue;\n',
    replace: '',
    commands: [NAMED_TESTS, sim('--runs 400')],
  },
  {
    id: 'M72',
    fault: 'a copy in which everything was refused does not raise the fence',
    file: APPLY,
    search: '    else if (waiting.length === 0) waiting.push([raiseFence(operation)]);\n',
    replace: '',
    commands: [vitest('test/unit/engine/copies/copy-apply.test.ts')],
  },
  {
    id: 'M73',
    fault: 'a failure of the orchestrator is taken for the refusal of an item',
    file: APPLY,
    search: "error.code !== 'validation_error') throw error;",
    replace: "error.code === 'internal_error') throw error;",
    commands: [vitest('test/unit/engine/copies/copy-apply.test.ts')],
  },
  {
    id: 'M74',
    fault: 'reads are cut over before the service is covered',
    file: DECIDE,
    search: '  if (!covered) return NOT_COVERED;\n',
    replace: "  if (!covered && action.kind === 'write') return NOT_COVERED;\n",
    commands: [DECIDE_TESTS],
  },
  {
    id: 'M75',
    fault: 'the kill switch does not take reads back',
    file: DECIDE,
    search:
      "  if (flags.killSwitch()) return { primary: 'legacy', dualWrite: true, shadowRead, reason: 'kill_switch' };\n",
    replace: '',
    commands: [DECIDE_TESTS],
  },
  {
    id: 'M76',
    fault: 'an interlock lowers nothing',
    file: DECIDE,
    search: "flags.isEnabled('read-cutover', isWhole ? context : { ...context, atMost }).enabled",
    replace: "flags.isEnabled('read-cutover', context).enabled",
    commands: [DECIDE_TESTS],
  },
  {
    id: 'M77',
    fault: 'flags that cannot be read end the dual writes of a service',
    file: KEEPER,
    search: "else if (reason === 'off' && state.number > 0) await this.#end(name, state);",
    replace: 'else if (!isAsked && state.number > 0) await this.#end(name, state);',
    commands: [KEEPER_TESTS],
  },
  {
    id: 'M191',
    fault: 'an end of dual writes that takes effect late is never learned of',
    file: KEEPER,
    search: '    if (isOver) this.#perhapsEnded.delete(name);',
    replace: '    this.#perhapsEnded.delete(name);',
    commands: [KEEPER_TESTS],
  },
  {
    id: 'M78',
    fault: 'writes pass unjournaled before the end of coverage is recorded',
    file: KEEPER,
    search: '    if (!(await this.#parts.store.end(name))) return;\n',
    replace: '    state.number = 0;\n    if (!(await this.#parts.store.end(name))) return;\n',
    commands: [KEEPER_TESTS],
  },
  {
    id: 'M79',
    fault: 'copies begin while a write is under way that no journal knows of',
    file: KEEPER,
    search: 'return number > 0 && unjournaled === 0 && this.#parts',
    replace: 'return number > 0 && unjournaled >= 0 && this.#parts',
    commands: [KEEPER_TESTS],
  },
  {
    id: 'M80',
    fault: 'a lane whose service forgets entries is copied instead of delivered, and they are lost',
    file: BACKLOG,
    search: 'return isTooLong && !(isForward && this.#forgetsEntries(lane));',
    replace: 'return isTooLong;',
    commands: [vitest('test/unit/engine/writes/backlog-limit.test.ts')],
  },
  {
    id: 'M81',
    fault: 'a backlog over all lanes together grows without bound',
    file: BACKLOG,
    search: ' || this.#count() > limits.total',
    replace: '',
    commands: [vitest('test/unit/engine/writes/backlog-limit.test.ts')],
  },
];
