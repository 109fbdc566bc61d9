import { Type, type Static } from 'typebox';
import { whole } from '../whole-number.ts';

const text = Type.Optional(Type.String({ minLength: 1 }));

/** Keys to encrypt contents before they are stored. Without a key they are stored in clear. */
export const EncryptionSettings = Type.Object(
  {
    keys: text,
    keysFile: text,
    resealRowsPerSecond: whole(0, 200),
  },
  { additionalProperties: false },
);

export type EncryptionSettings = Static<typeof EncryptionSettings>;
