using System.Buffers.Binary;
using System.Text;

namespace Diffusion.Gpu.Benchmarks.Peers;

/// <summary>
/// Lets TorchSharp load on systems whose C++ library is older than the one it was linked with, Debian 12's for one.
/// </summary>
/// <remarks>TorchSharp's wrapper wants one function of version 3.4.32, which does nothing but keep the library loaded. In the copy beside
/// this program it is renamed to one that is there and harmless, std::get_new_handler of 3.4.20.
/// libtorch itself is left as it is.</remarks>
internal static class OldStandardLibrary
{
    private const string Wanted = "GLIBCXX_3.4.32", Present = "GLIBCXX_3.4.20";
    private const string Function = "_ZSt21ios_base_library_initv", Substitute = "_ZSt15get_new_handlerv";

    public static void Accommodate()
    {
        string path = Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native", "libLibTorchSharp.so");
        if (!OperatingSystem.IsLinux() || !File.Exists(path))
            return;
        byte[] library = File.ReadAllBytes(path);
        var hash = new byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(hash, Hash(Wanted));
        int need = library.AsSpan().IndexOf(hash), version = Find(library, Wanted), name = Find(library, Function);
        if (need < 0 || version < 0 || name < 0)
            return;
        BinaryPrimitives.WriteUInt32LittleEndian(library.AsSpan(need), Hash(Present));
        Put(library, version, Present);
        Put(library, name, Substitute);
        File.Delete(path);
        File.WriteAllBytes(path, library);
    }

    private static int Find(byte[] library, string text) => library.AsSpan().IndexOf(Encoding.ASCII.GetBytes(text + "\0"));

    private static void Put(byte[] library, int at, string text) => Encoding.ASCII.GetBytes(text + "\0").CopyTo(library, at);

    /// <summary>The hash that ELF keeps beside the name of a version.</summary>
    private static uint Hash(string text)
    {
        uint hash = 0;
        foreach (char letter in text)
        {
            hash = (hash << 4) + letter;
            hash = (hash ^ ((hash & 0xF0000000) >> 24)) & 0x0FFFFFFF;
        }
        return hash;
    }
}
