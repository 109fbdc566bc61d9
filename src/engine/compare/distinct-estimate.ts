import { hashText } from './digest.ts';

/** Registers: 256 bytes for any number of values, 6.5 % standard error. */
const REGISTERS = 256;
const BIAS = 0.7213 / (1 + 1.079 / REGISTERS);

/**
 * Estimates how many different texts were added, in constant space (HyperLogLog). Two estimates merge by the larger value of each
 * register.
 */
export class DistinctEstimate {
  readonly registers: Uint8Array;

  constructor(registers: Iterable<number> = []) {
    this.registers = new Uint8Array(REGISTERS);
    this.registers.set([...registers].slice(0, REGISTERS));
  }

  add(text: string): void {
    const hash = hashText(text);
    const index = hash % REGISTERS;
    const rest = Math.floor(hash / REGISTERS) % 0x1_0000_0000;
    const rank = Math.clz32(rest >>> 0) + 1;
    if (rank > (this.registers[index] ?? 0)) this.registers[index] = rank;
  }

  get count(): number {
    let sum = 0;
    let empty = 0;
    for (const rank of this.registers) {
      sum += 2 ** -rank;
      if (rank === 0) empty += 1;
    }
    const estimate = (BIAS * REGISTERS * REGISTERS) / sum;
    const isSmall = estimate <= 2.5 * REGISTERS && empty > 0;
    return Math.round(isSmall ? REGISTERS * Math.log(REGISTERS / empty) : estimate);
  }
}
