using System.Reflection;
using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>The arguments of a launch as bytes of a kernel's parameters: structs by value, field by field at their natural places, a view
/// as its address and its length. A struct without fields takes a byte.</summary>
internal sealed class ArgumentBytes
{
    private readonly List<(ulong, long)> _views = [];
    private readonly byte[] _bytes;

    /// <exception cref="PtxFaultException">The kernel wants arguments of another size.</exception>
    public ArgumentBytes(PtxKernel kernel, object[] arguments)
    {
        if (arguments.Length != kernel.Parameters.Count)
            throw new PtxFaultException($"{kernel.Name} has {kernel.Parameters.Count} parameters, {arguments.Length} were given");
        _bytes = new byte[kernel.ParameterBytes];
        foreach (var (parameter, argument) in kernel.Parameters.Zip(arguments))
        {
            var (size, _) = Layout(argument.GetType());
            if (size != parameter.Bytes)
                throw new PtxFaultException($"{parameter.Name} has {parameter.Bytes} bytes, {argument.GetType().Name} {size}");
            Write(argument, parameter.Offset);
        }
    }

    public byte[] Bytes => _bytes;

    /// <summary>Address and size of every view.</summary>
    public IReadOnlyList<(ulong Address, long Bytes)> Views => _views;

    private void Write(object value, int at)
    {
        var type = value.GetType();
        if (IsView(type))
            WriteView((IView)Activator.CreateInstance(typeof(View<>).MakeGenericType(type.GetGenericArguments()), value)!, at);
        else if (value is bool flag)
            _bytes[at] = flag ? (byte)1 : (byte)0;
        else if (type.IsPrimitive)
            MemoryMarshal.AsBytes<ulong>(new[] { Bits(value) })[..SizeOf(type)].CopyTo(_bytes.AsSpan(at));
        else
        {
            foreach (var (field, offset) in Fields(type))
                Write(field.GetValue(value)!, at + offset);
        }
    }

    private void WriteView(IView view, int at)
    {
        BitConverter.TryWriteBytes(_bytes.AsSpan(at), view.Address);
        BitConverter.TryWriteBytes(_bytes.AsSpan(at + 8), view.Length);
        _views.Add((view.Address, view.Length * view.ElementBytes));
    }

    private static ulong Bits(object value) => value switch
    {
        float number => BitConverter.SingleToUInt32Bits(number),
        double number => BitConverter.DoubleToUInt64Bits(number),
        uint or ulong or ushort or byte => Convert.ToUInt64(value, null),
        _ => (ulong)Convert.ToInt64(value, null),
    };

    private static (int Size, int Alignment) Layout(Type type)
    {
        if (IsView(type))
            return (16, 8);
        if (type.IsPrimitive)
            return (SizeOf(type), SizeOf(type));
        int end = 0, alignment = 1;
        foreach (var (field, offset) in Fields(type))
        {
            var inner = Layout(field.FieldType);
            end = offset + inner.Size;
            alignment = Math.Max(alignment, inner.Alignment);
        }
        return (Math.Max(1, Aligned(end, alignment)), alignment);
    }

    private static IEnumerable<(FieldInfo Field, int Offset)> Fields(Type type)
    {
        int offset = 0;
        foreach (var field in type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)
            .OrderBy(field => field.MetadataToken))
        {
            var (size, alignment) = Layout(field.FieldType);
            offset = Aligned(offset, alignment);
            yield return (field, offset);
            offset += size;
        }
    }

    private static int SizeOf(Type type) => type == typeof(bool) ? 1 : Marshal.SizeOf(type);

    private static int Aligned(int offset, int alignment) => (offset + alignment - 1) / alignment * alignment;

    private static bool IsView(Type type) => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(ArrayView<>);

    private interface IView
    {
        ulong Address { get; }

        long Length { get; }

        int ElementBytes { get; }
    }

    private sealed class View<T>(ArrayView<T> view) : IView
        where T : unmanaged
    {
        public ulong Address => view.IsValid ? (ulong)view.LoadEffectiveAddressAsPtr() : 0;

        public long Length => view.Length;

        public int ElementBytes => Interop.SizeOf<T>();
    }
}
