export { DeadLetterError } from '../errors.ts';
export { fromDeadLetters, toDeadLetters } from './files/deadLetters.ts';
export type {
  ErrorRecord,
  FromDeadLettersOptions,
  StoredDeadLetter,
  ToDeadLettersOptions,
} from './LetterRecord.ts';
