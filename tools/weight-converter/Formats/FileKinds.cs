namespace Diffusion.Gpu.WeightConverter.Formats;

/// <summary>The formats that a file of weights can have.</summary>
internal enum FileKind
{
    Unknown,
    Zip,
    Legacy,
    Safetensors,
}

/// <summary>Tells formats apart by a file's first bytes.</summary>
internal static class FileKinds
{
    /// <summary>PROTO 2, LONG1 of ten bytes: 0x1950a86a20f9469cfc6c, which opens torch's stream of pickles. Source:
    /// torch/serialization.py.</summary>
    private static ReadOnlySpan<byte> LegacyMagic => [0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

    public static FileKind Of(ReadOnlySpan<byte> begin) => begin switch
    {
        [(byte)'P', (byte)'K', 3, 4, ..] => FileKind.Zip,
        [0x80, _, ..] when begin[2..].StartsWith(LegacyMagic) => FileKind.Legacy,
        [_, _, _, _, _, 0, 0, 0, (byte)'{', ..] => FileKind.Safetensors,
        _ => FileKind.Unknown,
    };

    /// <summary>What an unknown file seems to be.</summary>
    public static string Describe(ReadOnlySpan<byte> begin) => begin switch
    {
        [] => "the file is empty",
        [0x80, <= 5, ..] => "this is a pickle that torch.save did not write",
        [0x89, (byte)'H', (byte)'D', (byte)'F', ..] => "this is an HDF5 file",
        [(byte)'G', (byte)'G', (byte)'U', (byte)'F', ..] => "this is a GGUF file",
        [(byte)'<', ..] => "this is a web page, not the file that a link led to",
        _ when begin.Length > 262 && begin[257..262].SequenceEqual("ustar"u8) => "this is a tar file (torch wrote those before 0.4)",
        _ => "this is no file of weights that is known here",
    };
}
