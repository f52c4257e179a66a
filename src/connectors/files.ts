export { DeadLetterError } from '../errors.ts';
export { fromDeadLetters, toDeadLetters } from './files/deadLetters.ts';
export type {
  ErrorRecord,
  FromDeadLettersOptions,
  StoredDeadLetter,
  ToDeadLettersOptions,
} from './LetterRecord.ts';
export type { Progress } from '../checkpoint/Progress.ts';
export {
  CheckpointError,
  FileBrokenError,
  FileRecordError,
  FileValueError,
  PackageMissingError,
} from '../errors.ts';
export type { Compression, FileInput } from './files/Bytes.ts';
export { fromCsv, type CsvType, type FromCsvOptions } from './files/csv.ts';
export type { CsvField } from './files/CsvReader.ts';
export { fileCheckpoint, type FileCheckpoint, type FileCheckpointOptions } from './files/FileCheckpoint.ts';
export { fromGlob, type FromGlobOptions } from './files/glob.ts';
export type { FilePosition } from './files/LineReader.ts';
export { fromLines, fromNdjson } from './files/lines.ts';
export type { BadRecord, FileSourceOptions, OnBadRecord } from './files/records.ts';
export type { FileSinkOptions } from './files/FileSink.ts';
export { toCsv, toNdjson, type ToCsvOptions } from './files/sinks.ts';
export { fromTail, type FromTailOptions } from './files/tail.ts';
