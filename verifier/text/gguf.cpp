// SPDX-License-Identifier: Apache-2.0
#include "verifier/text/gguf.h"

#include <bit>
#include <utility>

#include "watermark/utf8.h"

namespace countermark::text {
namespace {

// Numbers of the types of values.
enum Type : std::uint32_t {
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64,
  kTypes
};

// Bytes of one value; 0 for strings and arrays, which carry their length.
constexpr std::uint64_t kSizes[kTypes] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
constexpr const char* kNames[kTypes] = {"uint8",  "int8",    "uint16", "int16",  "uint32",
                                        "int32",  "float32", "bool",   "string", "array",
                                        "uint64", "int64",   "float64"};

std::uint64_t little_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;)
    value = value << 8 | static_cast<std::uint8_t>(bytes[i]);
  return value;
}

}  // namespace

// Reads from front to back; nothing is read before its length is known to be there.
class Gguf::Cursor {
 public:
  explicit Cursor(std::string_view bytes, std::size_t at = 0) : bytes_(bytes), at_(at) {}

  std::size_t at() const { return at_; }

  tl::unexpected<Error> bad(std::string message, ErrorCode code = ErrorCode::kInvalidInput) const {
    return fail(Error{code, std::move(message), {}, {}, at_});
  }

  Result<std::string_view> take(std::uint64_t size) {
    if (size > bytes_.size() - at_)
      return bad("expected " + std::to_string(size) + " more bytes; the file ends");
    at_ += size;
    return bytes_.substr(at_ - size, size);
  }

  Result<std::uint32_t> u32() {
    COUNTERMARK_TRY(const std::string_view bytes, take(4));
    return static_cast<std::uint32_t>(little_endian(bytes));
  }

  Result<std::uint64_t> u64() {
    COUNTERMARK_TRY(const std::string_view bytes, take(8));
    return little_endian(bytes);
  }

  Result<std::string_view> string() {
    COUNTERMARK_TRY(const std::uint64_t size, u64());
    return take(size);
  }

  Result<std::uint32_t> type() {
    COUNTERMARK_TRY(const std::uint32_t type, u32());
    if (type < kTypes) return type;
    at_ -= 4;
    return bad("expected the type of a value, 0 to 12, not " + std::to_string(type));
  }

  // The elements of an array, or one value.
  Result<std::string_view> payload(std::uint32_t type, std::uint64_t count) {
    const std::size_t begin = at_;
    if (kSizes[type] != 0) {
      // Divided, since the product may not fit.
      if (count > (bytes_.size() - at_) / kSizes[type])
        return bad("expected " + std::to_string(count) + " values; the file ends");
      COUNTERMARK_TRY(const std::string_view values, take(count * kSizes[type]));
      for (std::size_t i = 0; type == kBool && i < values.size(); ++i)
        if (static_cast<std::uint8_t>(values[i]) > 1)
          return Cursor(bytes_, begin + i).bad("expected 0 or 1 for a bool");
      return values;
    }
    if (type == kArray) return bad("an array of arrays is not supported", ErrorCode::kUnsupported);
    for (std::uint64_t i = 0; i < count; ++i) {
      if (auto element = string(); !element) return element;
    }
    return bytes_.substr(begin, at_ - begin);
  }

  Result<Value> value() {
    Value value;
    COUNTERMARK_TRY(value.type, type());
    value.element_type = value.type;
    value.count = 1;
    if (value.type == kArray) {
      COUNTERMARK_TRY(value.element_type, type());
      COUNTERMARK_TRY(value.count, u64());
    }
    value.offset = at_;
    COUNTERMARK_TRY(value.payload, payload(value.element_type, value.count));
    return value;
  }

 private:
  std::string_view bytes_;
  std::size_t at_;
};

Result<Gguf> Gguf::parse(std::string_view bytes) {
  Cursor in(bytes);
  COUNTERMARK_TRY(const std::string_view magic, in.take(4));
  if (magic != "GGUF") return Cursor(bytes).bad("expected a GGUF file");
  COUNTERMARK_TRY(const std::uint32_t version, in.u32());
  if (version != 2 && version != 3)
    return Cursor(bytes, 4).bad("GGUF version " + std::to_string(version) +
                                    ((version & 0xffff) == 0 ? " (big-endian)" : "") +
                                    " is not supported",
                                ErrorCode::kUnsupported);
  COUNTERMARK_CHECK(in.u64());  // the number of tensors
  COUNTERMARK_TRY(const std::uint64_t keys, in.u64());
  Gguf file;
  for (std::uint64_t i = 0; i < keys; ++i) {
    const Cursor start = in;
    COUNTERMARK_TRY(const std::string_view key, in.string());
    COUNTERMARK_TRY(const Value value, in.value());
    if (!file.values_.emplace(key, value).second) return start.bad("expected each key once");
  }
  return file;
}

std::vector<std::string_view> Gguf::keys() const {
  std::vector<std::string_view> keys;
  for (const auto& [key, value] : values_) keys.push_back(key);
  return keys;
}

Error Gguf::error_at(std::string_view key, ErrorCode code, std::string message) const {
  // Keys are any bytes.
  Error error{code, std::move(message), {}, replace_invalid_utf8(key)};
  const auto value = values_.find(key);
  if (value != values_.end()) error.offset = value->second.offset;
  return error;
}

Result<const Gguf::Value*> Gguf::find(std::string_view key, std::uint32_t type,
                                      std::uint32_t element_type) const {
  const auto value = values_.find(key);
  if (value == values_.end()) return fail(error_at(key, ErrorCode::kInvalidInput, "missing"));
  const bool is_array = type == kArray;
  if (value->second.type != type || (is_array && value->second.element_type != element_type))
    return fail(error_at(key, ErrorCode::kInvalidInput,
                         is_array ? std::string("expected an array of ") + kNames[element_type]
                                  : std::string("expected a ") + kNames[type]));
  return &value->second;
}

Result<std::string_view> Gguf::string_at(std::string_view key) const {
  COUNTERMARK_TRY(const Value* value, find(key, kString));
  return value->payload.substr(8);
}

Result<bool> Gguf::bool_at(std::string_view key) const {
  COUNTERMARK_TRY(const Value* value, find(key, kBool));
  return value->payload[0] != 0;
}

Result<std::vector<std::string_view>> Gguf::strings_at(std::string_view key) const {
  COUNTERMARK_TRY(const Value* value, find(key, kArray, kString));
  std::vector<std::string_view> strings;
  strings.reserve(value->count);
  Cursor in(value->payload);
  for (std::uint64_t i = 0; i < value->count; ++i) {
    COUNTERMARK_TRY(const std::string_view string, in.string());
    strings.push_back(string);
  }
  return strings;
}

Result<std::vector<float>> Gguf::floats_at(std::string_view key) const {
  COUNTERMARK_TRY(const Value* value, find(key, kArray, kFloat32));
  std::vector<float> floats;
  floats.reserve(value->count);
  for (std::size_t at = 0; at < value->payload.size(); at += 4)
    floats.push_back(std::bit_cast<float>(
        static_cast<std::uint32_t>(little_endian(value->payload.substr(at, 4)))));
  return floats;
}

Result<std::vector<std::int32_t>> Gguf::integers_at(std::string_view key) const {
  COUNTERMARK_TRY(const Value* value, find(key, kArray, kInt32));
  std::vector<std::int32_t> integers;
  integers.reserve(value->count);
  for (std::size_t at = 0; at < value->payload.size(); at += 4)
    integers.push_back(static_cast<std::int32_t>(little_endian(value->payload.substr(at, 4))));
  return integers;
}

}  // namespace countermark::text
