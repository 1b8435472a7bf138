using System.Collections;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Diffusion.Gpu;

/// <summary>Values for the stages of a network, finest first: one each, or a single one for all. Compared by value.</summary>
[CollectionBuilder(typeof(StageList), nameof(StageList.Create))]
[JsonConverter(typeof(StageListConverter))]
public sealed class StageList<T> : IReadOnlyList<T>, IEquatable<StageList<T>>
    where T : struct, IEquatable<T>
{
    private readonly T[] _values;

    internal StageList(ReadOnlySpan<T> values) => _values = values.ToArray();

    /// <summary>Number of values.</summary>
    public int Count => _values.Length;

    /// <summary>The value at a position of the list.</summary>
    public T this[int index] => _values[index];

    /// <summary>The value of a stage: the only one, or the stage's own.</summary>
    public T At(int stage) => _values.Length == 1 ? _values[0] : _values[stage];

    /// <summary>Whether the list has one value for all stages or one for each.</summary>
    public bool Covers(int stages) => _values.Length == 1 || _values.Length == stages;

    /// <summary>Enumerates the values.</summary>
    public IEnumerator<T> GetEnumerator() => ((IEnumerable<T>)_values).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <inheritdoc/>
    public bool Equals(StageList<T>? other) => other is not null && _values.AsSpan().SequenceEqual(other._values);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as StageList<T>);

    /// <inheritdoc/>
    public override int GetHashCode() => _values.Aggregate(0, HashCode.Combine);

    /// <summary>Writes the values as [1, 2, 4].</summary>
    public override string ToString() => $"[{string.Join(", ", _values)}]";

    /// <summary>One value for all stages.</summary>
    public static implicit operator StageList<T>(T value) => new([value]);

    /// <summary>One value per stage.</summary>
    public static implicit operator StageList<T>(T[] values) => new(values);
}

/// <summary>Makes lists from collection expressions.</summary>
public static class StageList
{
    /// <summary>Makes a list.</summary>
    public static StageList<T> Create<T>(ReadOnlySpan<T> values)
        where T : struct, IEquatable<T> => new(values);
}

/// <summary>Reads a list from one value or an array; writes a list of one as the value.</summary>
internal sealed class StageListConverter : JsonConverterFactory
{
    public override bool CanConvert(Type typeToConvert) => typeToConvert.IsGenericType
        && typeToConvert.GetGenericTypeDefinition() == typeof(StageList<>);

    public override JsonConverter CreateConverter(Type typeToConvert, JsonSerializerOptions options)
        => typeToConvert == typeof(StageList<int>) ? new Of<int>() : new Of<bool>();

    private sealed class Of<T> : JsonConverter<StageList<T>>
        where T : struct, IEquatable<T>
    {
        public override StageList<T> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
            => reader.TokenType == JsonTokenType.StartArray
                ? new StageList<T>(JsonSerializer.Deserialize<T[]>(ref reader, options))
                : new StageList<T>([JsonSerializer.Deserialize<T>(ref reader, options)]);

        public override void Write(Utf8JsonWriter writer, StageList<T> value, JsonSerializerOptions options)
        {
            if (value.Count == 1)
                JsonSerializer.Serialize(writer, value[0], options);
            else
                JsonSerializer.Serialize(writer, value.ToArray(), options);
        }
    }
}
