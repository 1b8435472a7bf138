using System.Reflection;
using System.Reflection.Emit;
using Diffusion.Gpu.Kernels;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>What ILGPU 1.5.3 is known to compile wrongly stays out of kernels, and no kernel is left out.</summary>
public sealed class KernelRuleTests
{
    private static IEnumerable<MethodBase> Code => KernelListing.All.Values.SelectMany(use => KernelCode.Methods(use.Method)).Distinct();

    /// <summary>A switch becomes an indexed branch, which has read wrong memory on NVIDIA devices.</summary>
    [Test]
    public void Kernels_have_no_switch()
        => Assert.That(Code.Where(method => KernelCode.Read(method).Any(step => step.Code == OpCodes.Switch)).Select(Name), Is.Empty);

    /// <summary>ILGPU divides by a power of two with an arithmetic shift, which rounds negative and very large numbers wrongly.</summary>
    [Test]
    public void Kernels_divide_by_no_power_of_two()
        => Assert.That(Code.Where(DividesByPowerOfTwo).Select(Name), Is.Empty);

    [TestCase(nameof(Halved), true)]
    [TestCase(nameof(Thirds), false)]
    public void Division_is_seen(string sample, bool isSeen) => Assert.That(DividesByPowerOfTwo(Sample(sample)), Is.EqualTo(isSeen));

    [Test]
    public void Switch_is_seen()
        => Assert.That(KernelCode.Read(Sample(nameof(Choice))).Any(step => step.Code == OpCodes.Switch));

    [Test]
    public void Called_methods_are_read()
        => Assert.That(KernelCode.Methods(Sample(nameof(Caller))).Select(method => method.Name),
            Is.EquivalentTo([nameof(Caller), nameof(Halved)]));

    [Test]
    public void Every_element_kernel_is_listed()
    {
        var used = KernelListing.All.Values.Where(use => use.Method.DeclaringType == typeof(Launcher))
            .Select(use => Definition(use.Method.GetGenericArguments()[0])).ToHashSet();
        var wanted = typeof(Launcher).Assembly.GetTypes().Where(type => type.IsValueType && typeof(IElementKernel).IsAssignableFrom(type));
        Assert.That(wanted.Where(type => !used.Contains(type)).Select(type => type.Name), Is.Empty);
    }

    [Test]
    public void Every_group_kernel_is_listed()
    {
        var used = KernelListing.All.Values.Select(use => Definition(use.Method)).ToHashSet();
        var called = Code.Select(method => method is MethodInfo info ? Definition(info) : null)
            .Where(method => method is not null).ToHashSet();
        var missing = typeof(Launcher).Assembly.GetTypes().SelectMany(type => type.GetMethods(
                BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
            .Where(method => IsGroupKernel(method) && !used.Contains(method) && !called.Contains(method));
        Assert.That(missing.Select(Name), Is.Empty);
    }

    /// <summary>Parts of a sum are four wide whatever the result is. Lines are normalised of whole sums only.</summary>
    [Test]
    public void Every_product_is_listed_in_parts()
    {
        var products = KernelListing.All.Values.Select(use => use.Method)
            .Where(method => method.DeclaringType == typeof(TileGemm) || method.DeclaringType == typeof(ImplicitGemm)).ToHashSet();
        var parts = products.Select(method => method.GetGenericMethodDefinition().MakeGenericMethod(
            [.. method.GetGenericArguments()[..^1], typeof(MatrixResult<FourWide>)]));
        Assert.That(parts.Except(products).Select(method => new KernelUse(method, 0, null, 0).Name), Is.Empty);
    }

    [Test]
    public void Every_result_is_listed_with_parts_added_up()
    {
        var added = KernelListing.All.Values.SelectMany(use => use.Method.GetGenericArguments())
            .Where(type => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(GpuBackend.AddPartsKernel<>))
            .Select(type => type.GetGenericArguments()[0]);
        var results = typeof(IResult).Assembly.GetTypes().Where(type => type.IsValueType && typeof(IResult).IsAssignableFrom(type))
            .SelectMany(type => type.IsGenericType
                ? new[] { type.MakeGenericType(typeof(OneWide)), type.MakeGenericType(typeof(FourWide)) } : [type]);
        Assert.That(results.Where(type => !NormalisesLines(type)).Except(added).Select(type => type.ToString()), Is.Empty);
    }

    private static bool NormalisesLines(Type result) => (bool)result.GetProperty(nameof(IResult.NormalisesLines))!.GetValue(null)!;

    /// <summary>A method that a launcher could be given: it returns nothing, takes one struct, and asks which thread it is. A tile's steps
    /// are none.</summary>
    private static bool IsGroupKernel(MethodInfo method)
        => !typeof(ITile).IsAssignableFrom(method.DeclaringType) && method.ReturnType == typeof(void)
        && method.GetParameters() is [{ ParameterType: { IsValueType: true, IsByRef: false } }]
        && method.GetMethodBody() is not null
        && KernelCode.Methods(method).SelectMany(KernelCode.Read)
            .Any(step => step.Callee?.DeclaringType is { Namespace: "ILGPU", Name: "Group" or "Grid" });

    private static bool DividesByPowerOfTwo(MethodBase method)
    {
        long? before = null;
        foreach (var step in KernelCode.Read(method))
        {
            if ((step.Code == OpCodes.Div || step.Code == OpCodes.Div_Un) && before is > 1 && (before & (before - 1)) == 0)
                return true;
            before = step.Constant ?? ConstantOf(step.Callee);
        }
        return false;
    }

    /// <summary>The number that a property of a tile or a type argument stands for.</summary>
    private static long? ConstantOf(MethodBase? getter)
    {
        if (getter?.GetMethodBody() is null || getter.GetParameters().Length > 0 || getter.Module != typeof(Launcher).Module)
            return null;
        KernelCode.Instruction[] steps = [.. KernelCode.Read(getter).Where(step => step.Code != OpCodes.Nop)];
        return steps is [var load, var end] && end.Code == OpCodes.Ret ? load.Constant : null;
    }

    private static MethodInfo Sample(string name) => typeof(KernelRuleTests).GetMethod(name, BindingFlags.Static | BindingFlags.NonPublic)!;

    private static int Halved(int x) => x / 2;

    private static int Thirds(int x) => x / 3;

    private static int Caller(int x) => Halved(x) + 1;

    private static int Choice(int x)
    {
        switch (x)
        {
            case 0: return 5;
            case 1: return 7;
            case 2: return 4;
            case 3: return 9;
            default: return x;
        }
    }

    private static string Name(MethodBase method) => $"{method.DeclaringType?.Name}.{method.Name}";

    private static Type Definition(Type type) => type.IsGenericType ? type.GetGenericTypeDefinition() : type;

    private static MethodInfo Definition(MethodInfo method)
    {
        var declaring = method.DeclaringType!;
        if (declaring.IsConstructedGenericType)
        {
            method = (MethodInfo)MethodBase.GetMethodFromHandle(method.MethodHandle, declaring.GetGenericTypeDefinition().TypeHandle)!;
        }
        return method.IsGenericMethod ? method.GetGenericMethodDefinition() : method;
    }
}
