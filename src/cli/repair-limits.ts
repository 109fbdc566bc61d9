import { InvalidArgumentError, type Command } from 'commander';

/** Most that a repair may change before it asks. */
export interface RepairLimitOptions {
  readonly limitItems?: number;
  readonly limitShare?: number;
}

/** The limits as options: what cannot be one is said before anything is read, or compared for minutes. */
export function limitOptions(command: Command): Command {
  return command
    .option('--limit-items <n>', 'most findings that may be repaired (default: 1000)', parseItems)
    .option(
      '--limit-share <share>',
      'most of all compared items that may be repaired; 0.01 is 1 % (default: 0.005)',
      parseShare,
    );
}

/** The same in the words of the operator's API. */
export function limitsIn({ limitItems, limitShare }: RepairLimitOptions): object {
  return {
    ...(limitItems !== undefined && { limit_items: limitItems }),
    ...(limitShare !== undefined && { limit_share: limitShare }),
  };
}

function parseItems(text: string): number {
  const items = Number(text);
  if (!Number.isSafeInteger(items) || items < 1)
    throw new InvalidArgumentError(`must be a whole number of at least 1, got "${text}"`);
  return items;
}

function parseShare(text: string): number {
  const share = Number(text);
  if (!(share > 0 && share <= 1))
    throw new InvalidArgumentError(`must be above 0 and at most 1 (all of them), got "${text}"`);
  return share;
}
