using System.Text.Json;
using System.Text.Json.Serialization;

namespace Diffusion.Gpu;

/// <summary>Extents of an image in pixels; as JSON one number where they are equal, else [height, width].</summary>
[JsonConverter(typeof(ImageSizeConverter))]
public readonly record struct ImageSize(int Height, int Width)
{
    /// <summary>Writes the size as 32x48, height first.</summary>
    public override string ToString() => $"{Height}x{Width}";

    /// <summary>A square.</summary>
    public static implicit operator ImageSize(int side) => new(side, side);
}

/// <summary>Reads and writes <see cref="ImageSize"/>.</summary>
internal sealed class ImageSizeConverter : JsonConverter<ImageSize>
{
    public override ImageSize Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
            return reader.GetInt32();
        return JsonSerializer.Deserialize<int[]>(ref reader, options) is [var height, var width]
            ? new ImageSize(height, width)
            : throw new JsonException("expected one number, or height and width");
    }

    public override void Write(Utf8JsonWriter writer, ImageSize value, JsonSerializerOptions options)
    {
        if (value.Height == value.Width)
            writer.WriteNumberValue(value.Height);
        else
            JsonSerializer.Serialize(writer, new[] { value.Height, value.Width }, options);
    }
}
