#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "config/result.hpp"

namespace t2 {

/// Who may read a file that is made; whatever the process's umask says, `owner`
/// is mode 0600.
enum class readable_by { umask, owner };

/// Replaces the file at `path` with `bytes`, all or nothing: written to a new
/// file in the same folder, fsynced, renamed over `path`, the folder fsynced.
/// Once it returns without error the content survives a power cut; on error,
/// and after a crash at any instant, `path` holds its old content or the new
/// one. Errors: not_found when the folder is missing, io for the rest. Any
/// thread; two writers of one path leave the content of one of them.
result<void> write_file_durably(const std::filesystem::path& path,
                                std::span<const std::byte> bytes,
                                readable_by whom = readable_by::umask);

/// The same for the characters of `text`.
result<void> write_file_durably(const std::filesystem::path& path,
                                std::string_view text,
                                readable_by whom = readable_by::umask);

/// Makes an empty file of mode 0600 for another library to write to; io where
/// there is one of this name.
result<void> create_private_file(const std::filesystem::path& path);

/// Takes a file of this user's that is there away from others (mode 0600).
/// True: it was wider. Nothing happens where there is none.
result<bool> make_private(const std::filesystem::path& path);

/// Makes an existing file durable under its new name: fsyncs `from`, renames
/// it to `to` (replacing what was there; same file system), fsyncs the folder
/// of `to`. For files that another library wrote.
result<void> place_file_durably(const std::filesystem::path& from,
                                const std::filesystem::path& to);

/// The content of a regular file of at most `max_bytes`. Errors: not_found
/// when there is none, exhausted when it is larger, io for the rest.
result<std::string> read_file(const std::filesystem::path& path,
                              std::size_t max_bytes);

}  // namespace t2
